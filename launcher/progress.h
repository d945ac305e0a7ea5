// What a person sees of a run on standard error: on a terminal one line that is drawn over and over, else a line now
// and then. Rank 0's, from one thread.
//
//   step 312/1500 [####................] loss 2.3373, 10.2k tokens/s, 3 min left, scale 65536
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "runtime/train/metrics.h"

namespace tranche {

class Progress {
 public:
  // Of a run from step `first` (0 at the start) to `steps`; a plain line comes with every `every`-th step and the last.
  Progress(std::uint64_t first, std::uint64_t steps, std::uint64_t every);
  // The same with its own way out and terminal, for tests.
  Progress(std::uint64_t first, std::uint64_t steps, std::uint64_t every, bool terminal,
           std::function<void(const std::string&)> write);
  ~Progress();  // leaves the terminal on a line of its own
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void step(const StepMetrics& metrics);
  // Before anything else is written to standard error: takes the drawn line away, until the next step.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  std::string text(const StepMetrics& metrics) const;
  std::string time_left(std::uint64_t step) const;

  std::uint64_t first_, steps_, every_;
  bool terminal_, drawn_ = false;
  std::function<void(const std::string&)> write_;
  Clock::time_point start_ = Clock::now(), last_drawn_{};
};

// printf's %g and its like, of one number.
std::string digits(const char* format, double value);
// "95 s", "12 min", "3 h 20 min".
std::string duration_text(double seconds);
// "950", "10.2k", "1.31M", "6.74B".
std::string count_text(double count);

}  // namespace tranche
