// When a job that lost ranks starts again, and on how many. Arithmetic and files that are there; no processes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "launcher/control/machine.h"
#include "runtime/base/error.h"

namespace tranche {

// How mpirun or srun ended, as seen by who started it.
enum class End {
  finished,
  stopped,  // saved and stopped, as it was asked to
  refused,  // for a reason that a second try does not change
  lost,     // a rank was killed, or could not reach another
  spoiled,  // what a rank held has changed by itself: what was saved before is sound, and no rank is lost
};
struct Ending {
  End end = End::finished;
  int code = 0;                     // the program's exit code (docs/errors.md), or mpirun's own
  std::string text;                 // "ended with 137: a rank was killed by signal 9 (Killed)"
  Exit fault = Exit::ranks;         // what to end with if this was once too often
  std::size_t lost = 1;             // ranks whose places are lost with them
  std::vector<Machine> machines{};  // that are lost
};
// mpirun's, when a host or its daemon there is gone.
inline constexpr int host_lost = 205;
// And when a daemon cannot do its work, whether it never could or cannot any more.
inline constexpr int host_refused = 255;
// Of mpirun's code for either, from a job whose ranks were there.
Ending ending_of_lost_host(int code);
// Of a status that waitpid gave.
Ending ending_of(int status);
// How many processes of this machine its kernel has killed for want of memory since it was started (/proc/vmstat),
// those that reached their control group's limit among them; 0 where it does not say.
std::uint64_t killed_for_memory();
// Of a rank that was killed while that number grew: with what to do about it, on as many ranks, since fewer would need
// more memory each.
Ending ending_of_killed_for_memory(Ending ending);

// How far a run has come.
struct Reached {
  std::uint64_t saved = 0;  // step of the newest complete checkpoint; 0: none
  std::uint64_t told = 0;   // last step in metrics.jsonl
};
Reached reached_in(const std::filesystem::path& directory);

// Counts restarts that brought nothing, and makes each wait longer than the one before: 1, 2, 4... up to 60 s.
class Restarts {
 public:
  Restarts(std::size_t most, const Reached& at_start) : most_(most), best_(at_start) {}

  // After a loss: how long to wait before the next start; none if `most` restarts in a row came no further than those
  // before.
  std::optional<std::chrono::seconds> next(const Reached& reached);
  std::size_t in_vain() const { return in_vain_; }  // restarts in a row, this one included

 private:
  std::size_t most_, in_vain_ = 0;
  Reached best_;
};

// The largest number of ranks up to `places` among which a step's blocks of micro-batches can be dealt out equally;
// 1 where there is no place left.
std::size_t ranks_for(std::size_t places, std::size_t blocks);

}  // namespace tranche
