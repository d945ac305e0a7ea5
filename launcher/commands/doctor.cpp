// tranche doctor: whether this machine has what training needs, before a job finds out.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>

#include "launcher/commands/commands.h"
#include "launcher/doctor/cores.h"
#include "launcher/doctor/machine.h"
#include "launcher/doctor/ranks.h"
#include "launcher/doctor/stopped.h"
#include "launcher/doctor/storage.h"
#include "launcher/supervisor/hosts.h"
#include "runtime/base/error.h"

namespace tranche {
namespace {

using doctor::Finding;

struct Options {
  std::string mpirun, hostfile, folder = ".";
  std::size_t ranks = 0;  // 0: as many as the hosts have slots
  bool as_rank = false;
};

// Prints each line as soon as it is known, and beneath it what to do about it.
class Visit {
 public:
  // Whether it works. `remedy` is for what does not.
  bool look(const std::string& name, const std::string& remedy, const std::function<Finding()>& see) {
    doctor::end_if_stopped();
    try {
      const Finding finding = see();
      print(finding.advice.empty() ? "ok" : "NOTE", name, finding.text, finding.advice);
      return true;
    } catch (const Error& error) {
      doctor::end_if_stopped();
      print("FAILED", name, error.what(), remedy);
      if (worst_ == Exit::success) worst_ = error.exit();
      return false;
    }
  }
  Exit worst() const { return worst_; }

 private:
  static void print(const char* state, const std::string& name, const std::string& text, const std::string& advice) {
    const auto line = [](const char* first, const std::string& second, const std::string& third) {
      std::cout << std::left << "  " << std::setw(6) << first << "  " << std::setw(13) << second << "  " << third
                << std::endl;
    };
    line(state, name, text);
    if (!advice.empty()) line("", "", "-> " + advice);
  }

  Exit worst_ = Exit::success;
};

Exit run(const Options& options) {
  if (options.as_rank) return doctor::be_rank();
  watch_for_stop();
  std::vector<Host> hosts;
  if (!options.hostfile.empty()) hosts = read_hosts(options.hostfile);
  const std::size_t ranks = std::max<std::size_t>(2, options.ranks != 0 ? options.ranks : slots_of(hosts));
  const std::size_t ranks_here = hosts.empty() ? ranks : hosts.front().slots;
  const Place place = find_place(options.mpirun, std::move(hosts));

  Visit visit;
  visit.look("processor", "unset TRANCHE_INSTRUCTIONS, or name instructions that it has", doctor::see_processor);
  visit.look("threads", "", [] { return judge_cores(doctor::cores_of_this_process()); });
  visit.look("memory", "", doctor::see_memory);
  visit.look("locked memory", "", doctor::see_locked_memory);
  visit.look("shared memory", "ranks of a host exchange what they hold there: allow memfd_create, and /proc/PID/fd",
             [&] { return doctor::see_shared_memory(ranks_here); });
  visit.look("GPU", "", doctor::see_gpus);
  if (visit.look("folder", "name one that is there, has room and can be written with --folder",
                 [&] { return doctor::see_folder(options.folder); })) {
    visit.look("disk", "raise what limits files there (ulimit -f, a quota), or name another --folder",
               [&] { return doctor::see_disk(options.folder); });
    visit.look("HDF5", "checkpoints and token files are of this kind: name another --folder",
               [&] { return doctor::see_hdf5(options.folder); });
  }
  std::optional<doctor::Started> started;
  visit.look("ranks", "try that line by itself; --mpirun names another mpirun, and hosts must let ssh in unasked", [&] {
    started = doctor::start_ranks(place, ranks);
    return started->finding;
  });
  if (!started) return visit.worst();
  visit.look("MPI", "use an MPI library that is built with it", [&] { return judge_mpi(started->report); });
  visit.look("rank threads", "", [&] { return judge_threads(started->report); });
  visit.look("links", "", [&] { return judge_links(started->report); });
  return visit.worst();
}

}  // namespace

void add_doctor(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("doctor", "Try what training needs of this machine, and say what is missing");
  command->add_option("--mpirun", options->mpirun, "start ranks with this mpirun")->type_name("PATH");
  command
      ->add_option("--hostfile", options->hostfile, "hosts to try too, a line \"NAME slots=N\" for each; else this one")
      ->type_name("FILE");
  command->add_option("-n,--ranks", options->ranks, "ranks to start; 2, or all slots of --hostfile, unless given")
      ->check(CLI::Range(2, 1 << 20))
      ->type_name("N");
  command->add_option("--folder", options->folder, "where runs are to be saved")
      ->type_name("DIR")
      ->capture_default_str();
  command->add_flag("--as-rank", options->as_rank)->group("");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
