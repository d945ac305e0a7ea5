// tranche evaluate: the loss of a job's newest checkpoint on its validation file.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>

#include "launcher/assemble.h"
#include "launcher/commands/commands.h"
#include "launcher/packed.h"
#include "launcher/ranks.h"
#include "launcher/session.h"
#include "runtime/train/evaluate.h"

namespace tranche {
namespace {

struct Options {
  JobOptions job;
  std::string checkpoint;
  std::size_t samples = 0;
};

std::unique_ptr<TokenFile> open_validation(const Options& options, const Job& job, Session& session) {
  std::unique_ptr<TokenFile> file;
  together(session.control(), "validation data", [&] {
    ensure(Exit::job_file, job.data.validation.has_value(), options.job.file,
           " names no data.validation: add it, or give a token file with --set data.validation=FILE");
    file = std::make_unique<TokenFile>(*job.data.validation);
    check_vocabulary(*file, job.model_config);
  });
  return file;
}

void print(const Evaluation& result, const std::string& what, const TokenFile& file, const Session& session) {
  if (session.rank() != 0) return;
  const bool bytes = file.tokenizer().kind == "byte";
  std::printf("%s: validation loss %.4f nats per %s, perplexity %.3f, %llu tokens\n", what.c_str(), result.loss,
              bytes ? "byte" : "token", std::exp(result.loss), static_cast<unsigned long long>(result.tokens));
}

Exit evaluate_checkpoint(const Options& options, Session& session) {
  const OpenedCheckpoint opened = open_newest(options.job, options.checkpoint, session);
  const Job& job = *opened.job;
  const std::unique_ptr<TokenFile> file = open_validation(options, job, session);
  const std::unique_ptr<Device> device = session.make_device(job);
  const std::unique_ptr<CpuDevice> host = session.make_host(job.device, *device);
  SwapDisk disk{job.offload};
  const std::unique_ptr<Communicator> world = session.make_world(*device, job.device);
  Replica replica{job, *world, {*device, *host, disk}};
  replica.load_parameters(opened.folder);
  const Evaluation result = evaluate(replica.model(), Objective{}, *file, job.batch.micro_batch_size,
                                     job.data.sequence_length, options.samples, *world, *device);
  print(result, opened.folder.string(), *file, session);
  return Exit::success;
}

// The job file gives data and batch; the model must be the one that was packed.
Exit evaluate_packed(const Options& options, Session& session) {
  std::unique_ptr<Job> job;
  const OpenedPacked opened = open_packed(options.checkpoint, session);
  together(session.control(), "job file", [&] {
    job = std::make_unique<Job>(read_job(options.job.file, options.job.overrides));
    job->settle(session.ranks());
    const std::string difference = first_difference(opened.job->model, job->model);
    ensure(Exit::checkpoint, difference.empty(), options.checkpoint, " holds another model than ", options.job.file,
           ": ", difference);
  });
  check_same_job(*job, session.control());
  const std::unique_ptr<TokenFile> file = open_validation(options, *job, session);
  const std::unique_ptr<CpuDevice> device = session.make_cpu_device(job->device);
  const std::unique_ptr<Communicator> world = session.make_world(*device);
  PackedReplica replica{*job, *opened.file, *device};
  const Evaluation result = evaluate(replica.model(), Objective{}, *file, job->batch.micro_batch_size,
                                     job->data.sequence_length, options.samples, *world, *device);
  print(result, options.checkpoint, *file, session);
  return Exit::success;
}

Exit run(const Options& options) {
  Session session;
  return or_stop_all(session.control(), [&] {
    return is_packed(options.checkpoint) ? evaluate_packed(options, session) : evaluate_checkpoint(options, session);
  });
}

}  // namespace

void add_evaluate(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Print the loss of a job's newest checkpoint on its data.validation");
  options->job.add(*command);
  command
      ->add_option("--checkpoint", options->checkpoint,
                   "a run's directory, one step's, or a packed model, instead of checkpoint.directory")
      ->type_name("DIR|FILE");
  command->add_option("--samples", options->samples, "how many samples from the file's start; 0: all")
      ->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
