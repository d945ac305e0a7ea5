// How fast ranks work, from what they say of their time; and which of them holds the others up.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "launcher/control/messages.h"

namespace tranche {

// Of one start of a job. Times are given: nothing here looks at a clock.
class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Seconds = std::map<std::string, double>;

  // window: over which ranks are compared, again and again.
  Pace(std::size_t ranks, std::chrono::milliseconds window) : ranks_(ranks), window_(window) {}

  void says(std::size_t rank, const Activity& activity);
  // Seconds of one step, by what they went to: over the last whole window, before it since the start. Empty before the
  // first step.
  Seconds of_step(std::size_t rank) const;
  // What there is to tell when a window ends, else nothing: ranks whose own work (waiting is none) takes more than
  // twice as long as that of the others' median, and makes up a quarter of the step or more; and those that are so no
  // more.
  std::vector<std::string> judge(Time now);

 private:
  struct Rank {
    Activity now{}, before{};  // before: when the window began
    Seconds last{};            // of a step of the last window
    bool slow = false;
  };
  std::vector<Rank> ranks_;
  std::chrono::milliseconds window_;
  Time begun_{};
};

// Seconds of a step's own work: in a wait (and so in a gather and a reduce) the others work.
double own_work(const Pace::Seconds& step);
// All of its seconds.
double whole(const Pace::Seconds& step);
// Whether one of several ranks holds the others up, by the rule above.
bool holds_up(std::size_t rank, const std::vector<Pace::Seconds>& steps);

}  // namespace tranche
