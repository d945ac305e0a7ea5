// Learned step sizes of fake-quantized inputs (LSQ: Esser et al. 2020): the distance of two levels of what a weight
// multiplies is one more parameter of the weight's unit, trained, divided, saved and counted as weights are.
#pragma once

#include <functional>

#include "compress/config.h"
#include "compress/step_sizes.h"
#include "runtime/optim/placement.h"
#include "runtime/train/seams.h"

namespace tranche::compress {

// "NAME.input.step_sizes", (1), of each weight whose input has learned steps. config must outlive them.
StepSizes steps_of_inputs(const InputQuantization& config);

// Gives them their first values when quantization begins: those with which the levels reach the largest magnitude of
// the ranges that inputs were seen to have, which every rank knows.
class InputStepsBegin : public OwnerState {
 public:
  using RangeOf = std::function<const Range*(const std::string& weight)>;  // null: none was seen
  // All must outlive it.
  InputStepsBegin(const InputQuantization& config, const StepSizes& steps, RangeOf range_of,
                  OptimizerPlacement& placement, const std::vector<Owned>& owned)
      : config_(config), steps_(steps), range_of_(std::move(range_of)), placement_(placement), owned_(owned) {}

  bool after_update(std::uint64_t updates) override;

 private:
  float first_of(const Parameter& weight) const;

  const InputQuantization& config_;
  const StepSizes& steps_;
  RangeOf range_of_;
  OptimizerPlacement& placement_;
  const std::vector<Owned>& owned_;
};

}  // namespace tranche::compress
