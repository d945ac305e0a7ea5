// `--trace FILE`: some steps of a run, of all ranks, as one file that Chrome and Perfetto show (docs/trace.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/comm/communicator.h"

namespace CLI {
class App;
}

namespace tranche {

struct TraceOptions {
  std::string file;   // none: nothing is recorded
  std::string steps;  // "7" or "7-9", as the log counts them; none: the second and the third of this run

  void add(CLI::App& command);
  void check(std::size_t rank) const;  // throws Exit::usage; writes nothing
};

class StepTrace {
 public:
  // done: steps before this run; throws Exit::usage if those to record are among them. `control` must not be the
  // communicator of the steps: what this sends must not be part of them.
  StepTrace(const TraceOptions& options, std::uint64_t done, Communicator& control);

  // Before the step after `done` ones, and finish after the last. Collective where the recording begins and ends.
  void before_step(std::uint64_t done);
  void finish();

 private:
  void begin();
  void write();

  std::string file_;
  std::uint64_t first_ = 0, last_ = 0;
  std::int64_t origin_ = 0;  // on this rank's clock, of the times in the file
  Communicator& control_;
  enum class State { to_come, recording, over } state_ = State::over;
};

}  // namespace tranche
