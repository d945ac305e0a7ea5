// tranche launch: the ranks of a job, kept running until it is done.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <optional>

#include "launcher/commands/commands.h"
#include "launcher/job.h"
#include "launcher/supervisor/hosts.h"
#include "launcher/supervisor/supervisor.h"
#include "runtime/checkpoint/directory.h"
#include "runtime/checkpoint/manifest.h"

namespace tranche {
namespace {

struct Options {
  JobOptions job;
  std::vector<std::string> changes;  // KEY=VALUE behind the job file
  std::size_t ranks = 0;             // 0: as many as the hosts have slots
  std::string hostfile, mpirun;
  std::size_t restarts = 3;
  std::optional<std::uint16_t> port;
  std::string bind = "127.0.0.1";
  double silence = 30, stall = 600, arrival = 300, pace = 10;  // seconds
  bool resume = false, refill = false, print = false;
};

// What every start runs. The step's micro-batches stay those of the first, also where the job file leaves them to the
// number of ranks.
std::vector<std::string> train_command(const Options& options, const Job& job, bool fixed) {
  std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string(), "train", options.job.file};
  const auto set = [&](const std::string& change) { command.insert(command.end(), {"--set", change}); };
  for (const std::string& change : options.job.overrides) set(change);
  if (fixed) return command;
  set(str("train_batch_size=", job.batch.samples()));
  set(str("train_micro_batch_size_per_gpu=", job.batch.micro_batch_size));
  set("gradient_accumulation_steps=null");
  return command;
}

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)};
}

Exit run(Options options) {
  options.job.overrides.insert(options.job.overrides.end(), options.changes.begin(), options.changes.end());
  std::vector<Host> hosts;
  if (!options.hostfile.empty()) hosts = read_hosts(options.hostfile);
  Supervised launched;
  launched.ranks = options.ranks != 0 ? options.ranks : slots_of(hosts);
  ensure(Exit::usage, launched.ranks != 0, "how many ranks? give -n N, or --hostfile FILE");
  launched.place = find_place(options.mpirun, std::move(hosts));

  Job job{read_job(options.job.file, options.job.overrides)};
  const bool fixed = job.train.train_batch_size && job.train.micro_batch_size && !job.train.accumulation;
  const checkpoint::Newest newest = checkpoint::find_newest_complete(job.directory());
  if (options.resume && newest.folder)
    job.resume(launched.ranks, checkpoint::read_manifest(*newest.folder).state.job, newest.folder->string());
  else
    job.settle(launched.ranks);
  launched.command = train_command(options, job, fixed);
  launched.resume = options.resume;
  launched.restarts = options.restarts;
  launched.refill = options.refill;
  launched.blocks = job.batch.deal.micro_batches / job.batch.deal.block;
  launched.directory = job.directory();
  launched.steps = job.train.steps;
  launched.tokens_per_step = job.batch.samples() * job.data.sequence_length;
  launched.port = options.port;
  launched.bind = options.bind;
  launched.pace = milliseconds_of(options.pace);
  launched.patience = {.silence = milliseconds_of(options.silence),
                       .stall = milliseconds_of(options.stall),
                       .arrival = milliseconds_of(options.arrival)};
  if (!options.print) return supervise(launched);
  std::cout << shell_line(line_of(launched, launched.ranks, launched.resume)) << "\n";
  return Exit::success;
}

}  // namespace

void add_launch(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("launch", "Start a job's ranks with mpirun or srun, and start them again when ranks are lost");
  options->job.add(*command);
  command->add_option("changes", options->changes, "override keys of the job file, as --set does")
      ->type_name("KEY=VALUE");
  command->add_option("-n,--ranks", options->ranks, "ranks to start; all slots of --hostfile, unless given")
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N");
  command
      ->add_option("--hostfile", options->hostfile, "hosts to run on, a line \"NAME slots=N\" for each; else this one")
      ->type_name("FILE");
  command->add_option("--mpirun", options->mpirun, "start ranks with this mpirun, inside a Slurm allocation too")
      ->type_name("PATH");
  command
      ->add_option("--max-restarts", options->restarts, "give up after so many restarts in a row that come no further")
      ->check(CLI::Range(0, 1 << 20))
      ->type_name("R")
      ->capture_default_str();
  command->add_option("--silence", options->silence, "end the ranks when one says nothing for so many seconds")
      ->check(CLI::Range(1.0, 1e6))
      ->type_name("S")
      ->capture_default_str();
  command
      ->add_option("--stall", options->stall,
                   "end the ranks when none comes to another step, collective or phase for so many seconds")
      ->check(CLI::Range(1.0, 1e6))
      ->type_name("S")
      ->capture_default_str();
  command
      ->add_option(
          "--arrival", options->arrival,
          "end the ranks when after so many seconds not all of them have connected and none has met the others")
      ->check(CLI::Range(1.0, 1e6))
      ->type_name("S")
      ->capture_default_str();
  command
      ->add_option("--pace", options->pace,
                   "seconds over which the ranks' own work is compared, to tell of one that takes twice as long")
      ->check(CLI::Range(0.1, 1e6))
      ->type_name("S")
      ->capture_default_str();
  auto* const port =
      command->add_option("--port", options->port, "show the run on http://127.0.0.1:P/; 0: on any port that is free")
          ->type_name("P");
  command
      ->add_option("--bind", options->bind,
                   "show it on this address of the machine instead, 0.0.0.0 for all; other machines need a token then")
      ->needs(port)
      ->type_name("ADDRESS");
  command->add_flag("--refill", options->refill,
                    "a lost rank's place can be taken again: restart as many ranks, not fewer");
  command->add_flag("--resume", options->resume, "go on from the newest complete checkpoint at the first start too");
  command->add_flag("--print", options->print, "print the command of the first start, to be pasted, and start nothing");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
