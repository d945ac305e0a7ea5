#include "launcher/control/pace.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/base/error.h"

namespace tranche {
namespace {

constexpr double much = 2, share_that_matters = 0.25;
constexpr std::uint64_t fewest_steps = 3;  // in a window, to say anything

// In a wait the others work.
bool is_work(const std::string& kind) { return kind != "wait" && kind != "gather" && kind != "reduce"; }

double of(const Pace::Seconds& step, const std::string& kind) {
  const auto found = step.find(kind);
  return found == step.end() ? 0 : found->second;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<long>((values.size() - 1) / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// What went by from one report of a rank to a later one, for each step.
Pace::Seconds between(const Activity& before, const Activity& now) {
  Pace::Seconds step;
  const auto steps = static_cast<double>(now.steps - before.steps);
  for (const auto& [kind, seconds] : now.seconds)
    step[kind] = std::max(0.0, seconds - of(before.seconds, kind)) / steps;
  return step;
}

std::string name_of_kind(const std::string& kind) {
  return kind == "step" ? "what no part of a step accounts for" : kind;
}

std::string milliseconds(double seconds) { return str(std::llround(1000 * seconds), " ms"); }

// The median of a figure of all ranks but one, of which there is one at least.
template <class Figure>
double median_of_others(std::size_t rank, const std::vector<Pace::Seconds>& steps, const Figure& figure) {
  std::vector<double> figures;
  for (std::size_t other = 0; other < steps.size(); ++other)
    if (other != rank) figures.push_back(figure(steps[other]));
  return median(figures);
}

}  // namespace

double whole(const Pace::Seconds& step) {
  double sum = 0;
  for (const auto& [kind, seconds] : step) sum += seconds;
  return sum;
}

double own_work(const Pace::Seconds& step) {
  double sum = 0;
  for (const auto& [kind, seconds] : step) sum += is_work(kind) ? seconds : 0;
  return sum;
}

bool holds_up(std::size_t rank, const std::vector<Pace::Seconds>& steps) {
  if (steps.size() < 2) return false;
  const double mine = own_work(steps.at(rank)), theirs = median_of_others(rank, steps, own_work);
  return mine > much * theirs && mine - theirs > share_that_matters * whole(steps[rank]);
}

void Pace::says(std::size_t rank, const Activity& activity) {
  Rank& it = ranks_.at(rank);
  if (activity.steps < it.now.steps) it.before = {};  // nothing that a rank of ours says
  it.now = activity;
}

Pace::Seconds Pace::of_step(std::size_t rank) const {
  const Rank& it = ranks_.at(rank);
  if (!it.last.empty() || it.now.steps == 0) return it.last;
  return between({}, it.now);
}

std::vector<std::string> Pace::judge(Time now) {
  if (begun_ == Time{}) begun_ = now;
  if (now - begun_ < window_) return {};
  begun_ = now;
  const bool all_moved =
      std::ranges::all_of(ranks_, [](const Rank& r) { return r.now.steps >= r.before.steps + fewest_steps; });
  for (Rank& rank : ranks_) {
    if (all_moved) rank.last = between(rank.before, rank.now);
    rank.before = rank.now;
  }
  std::vector<Seconds> steps;
  for (const Rank& rank : ranks_) steps.push_back(rank.last);
  std::vector<std::string> told;
  for (std::size_t r = 0; all_moved && ranks_.size() > 1 && r < ranks_.size(); ++r) {
    Rank& rank = ranks_[r];
    const bool slow = holds_up(r, steps);
    if (slow == std::exchange(rank.slow, slow)) continue;
    if (!slow) {
      told.push_back(str("rank ", r, " is no longer slower than the others"));
      continue;
    }
    std::string most;
    double excess = 0;
    for (const auto& [kind, seconds] : rank.last) {
      const double more = seconds - median_of_others(r, steps, [&](const Seconds& step) { return of(step, kind); });
      if (is_work(kind) && more > excess) {
        excess = more;
        most = kind;
      }
    }
    told.push_back(str("rank ", r, " is slow: its own work takes ", milliseconds(own_work(rank.last)),
                       " of a step, that of the others ", milliseconds(median_of_others(r, steps, own_work)),
                       "; most of the difference is in ", name_of_kind(most)));
  }
  return told;
}

}  // namespace tranche
