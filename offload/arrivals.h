// When units are updated whose pieces travel to their working copies.
#pragma once

#include <utility>
#include <vector>

#include "offload/disk.h"
#include "runtime/optim/placement.h"

namespace tranche {

// Tells of units in their order, each once the unit behind it is being updated: by then its last piece has had that
// long to arrive. One pass over the units; one thread calls.
class Arrivals {
 public:
  // owned must outlive the object.
  Arrivals(const std::vector<Owned>& owned, OptimizerPlacement::Updated tell) : owned_(owned), tell_(std::move(tell)) {}

  // A piece of `unit` is in its place at this event. Units come in their order, every one at least once.
  void add(std::size_t unit, Event arrival) {
    for (; told_ < unit; ++told_) settle(told_);
    under_way_.push_back({unit, std::move(arrival)});
  }
  // After the last piece: waits for all.
  void finish() {
    for (; told_ < owned_.size(); ++told_) settle(told_);
  }

 private:
  void settle(std::size_t unit) {
    std::erase_if(under_way_, [&](const auto& each) {
      if (each.first == unit) wait_for(each.second);
      return each.first == unit;
    });
    tell_(*owned_[unit].unit);
  }

  const std::vector<Owned>& owned_;
  OptimizerPlacement::Updated tell_;
  std::vector<std::pair<std::size_t, Event>> under_way_;  // unit, its piece's arrival
  std::size_t told_ = 0;                                  // units
};

}  // namespace tranche
