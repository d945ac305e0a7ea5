#include "compress/input_steps.h"

#include <algorithm>
#include <cmath>

#include "runtime/nn/unit.h"

namespace tranche::compress {

StepSizes steps_of_inputs(const InputQuantization& config) {
  return {".input.step_sizes", [&config](const Parameter& weight) -> std::size_t {
            return config.learned_steps && config.group_of(weight) != nullptr ? 1 : 0;
          }};
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
