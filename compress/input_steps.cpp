#include "compress/input_steps.h"

#include <algorithm>
#include <cmath>

#include "runtime/nn/unit.h"

namespace tranche::compress {

void InputSteps::join(std::deque<Unit>& units) {
  if (!config_.learned_steps) return;
  for (Unit& unit : units) {
    const std::vector<Parameter*> weights = unit.parameters();
    for (const Parameter* weight : weights) {
      if (config_.group_of(*weight) == nullptr) continue;
      Parameter& step = parameters_.emplace_back(Parameter{weight->name + ".input.step_sizes", {1}, Initial::zeros()});
      unit.join(step);
      by_weight_[weight] = &step;
    }
  }
}

const Parameter* InputSteps::of(const Parameter& weight) const {
  const auto found = by_weight_.find(&weight);
  return found == by_weight_.end() ? nullptr : found->second;
}

bool InputStepsBegin::after_update(std::uint64_t updates) {
  if (!config_.enabled || !config_.learned_steps || updates != config_.offset) return false;
  const Doing frame{[] { return std::string{"choosing the first step sizes of inputs"}; }};
  for (const Owned& owned : owned_)
    for (const Parameter* weight : owned.unit->parameters()) {
      const Parameter* step = steps_.of(*weight);
      if (step == nullptr || step->offset < owned.first || step->offset >= owned.first + owned.size) continue;
      const Tensor masters = placement_.borrow(0, owned.unit->index());
      masters.span<float>()[step->offset - owned.first] = first_of(*weight);
      placement_.give_back(0, owned.unit->index(), masters.span<const float>());
    }
  placement_.round();
  return true;
}

// A weight that multiplies nothing (a table that is only looked up) has no range, and its step stays 0.
float InputStepsBegin::first_of(const Parameter& weight) const {
  const Range* range = range_of_(weight.name);
  if (range == nullptr) return 0;
  const auto half = static_cast<float>(std::exp2(static_cast<double>(config_.group_of(weight)->bits) - 1));
  return std::max(-range->low, range->high) / half;
}

}  // namespace tranche::compress
