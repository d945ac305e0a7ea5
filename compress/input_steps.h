// Learned step sizes of fake-quantized inputs (LSQ: Esser et al. 2020): the distance of two levels of what a weight
// multiplies is one more parameter of the weight's unit, trained, divided, saved and counted as weights are.
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "compress/config.h"
#include "runtime/optim/placement.h"
#include "runtime/train/seams.h"

namespace tranche::compress {

class InputSteps {
 public:
  explicit InputSteps(const InputQuantization& config) : config_(config) {}  // must outlive it
  InputSteps(const InputSteps&) = delete;
  InputSteps& operator=(const InputSteps&) = delete;

  // Gives each weight whose input has learned steps "NAME.input.step_sizes", (1), behind the unit's other parameters.
  // Before the units are placed; they must not outlive it.
  void join(std::deque<Unit>& units);
  const Parameter* of(const Parameter& weight) const;  // null: none

 private:
  const InputQuantization& config_;
  std::deque<Parameter> parameters_;
  std::map<const Parameter*, const Parameter*> by_weight_;
};

// Gives them their first values when quantization begins: those with which the levels reach the largest magnitude of
// the ranges that inputs were seen to have, which every rank knows.
class InputStepsBegin : public OwnerState {
 public:
  using RangeOf = std::function<const Range*(const std::string& weight)>;  // null: none was seen
  // All must outlive it.
  InputStepsBegin(const InputQuantization& config, const InputSteps& steps, RangeOf range_of,
                  OptimizerPlacement& placement, const std::vector<Owned>& owned)
      : config_(config), steps_(steps), range_of_(std::move(range_of)), placement_(placement), owned_(owned) {}

  bool after_update(std::uint64_t updates) override;

 private:
  float first_of(const Parameter& weight) const;

  const InputQuantization& config_;
  const InputSteps& steps_;
  RangeOf range_of_;
  OptimizerPlacement& placement_;
  const std::vector<Owned>& owned_;
};

}  // namespace tranche::compress
