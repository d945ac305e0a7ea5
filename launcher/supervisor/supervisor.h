// Keeps a job's ranks running: starts them with mpirun or srun, hands signals on, and when ranks are lost starts the
// job again from its newest complete checkpoint, on as many ranks as remain and its micro-batches allow
// (docs/launch.md).
//
// It is no scheduler: where ranks run is up to mpirun or srun.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "launcher/control/roll.h"
#include "launcher/supervisor/start_line.h"
#include "runtime/base/error.h"

namespace tranche {

struct Supervised {
  Place place;
  std::size_t ranks = 1;             // at the first start
  std::vector<std::string> command;  // what each rank runs
  bool resume = false;               // at the first start; later ones always go on
  std::size_t restarts = 3;          // in a row that bring nothing
  bool refill = false;               // a lost rank's place can be taken again: start as many ranks as before
  std::size_t blocks = 1;            // numbers of ranks divide this
  std::filesystem::path directory;   // the run's
  std::size_t steps = 0;             // of the job, for the page; likewise its tokens
  std::size_t tokens_per_step = 0;
  std::optional<std::uint16_t> port;       // of the page; 0: any
  std::string bind = "127.0.0.1";          // the address that serves it; all but a loopback's want a token
  std::chrono::milliseconds pace{10'000};  // over which the ranks' work is compared
  Roll::Patience patience;                 // with ranks that say nothing, or do nothing
};

// Returns when the job is done, or asked to stop by SIGINT or SIGTERM: the ranks save and stop; a second signal ends
// them at once. Throws an Error with the exit code that docs/launch.md lists when it gives up. Main thread; one call
// under way at a time.
Exit supervise(const Supervised& job);

// The command of one start: `resumes` for all but perhaps the first; `environment` as in Place::passed.
std::vector<std::string> line_of(const Supervised& job, std::size_t ranks, bool resumes,
                                 const std::vector<std::string>& environment = {});

}  // namespace tranche
