// Learned step sizes of fake-quantized weights (LSQ: Esser et al. 2020): each group of weights that share a scale has
// it as one more parameter of their unit, trained, divided, saved and counted as the weights are.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compress/config.h"
#include "runtime/comm/communicator.h"
#include "runtime/optim/placement.h"
#include "runtime/train/seams.h"

namespace tranche::compress {

// Whether a tensor of this name holds the step sizes of a weight: what no packed model has, nor one without
// quantization.
bool is_step_sizes(const std::string& name);

// Of weights, or of the inputs that they multiply.
class StepSizes {
 public:
  using Count = std::function<std::size_t(const Parameter& weight)>;  // of a weight's step sizes; 0: it has none
  // suffix: of their names, behind the weight's.
  StepSizes(std::string suffix, Count count_of) : suffix_(std::move(suffix)), count_of_(std::move(count_of)) {}
  StepSizes(const StepSizes&) = delete;
  StepSizes& operator=(const StepSizes&) = delete;

  // Gives each weight of these units that has step sizes one more parameter of that many, behind the unit's others.
  // Before the units are placed; they must not outlive it.
  void join(std::deque<Unit>& units);
  const Parameter* of(const Parameter& weight) const;  // null: none

 private:
  std::string suffix_;
  Count count_of_;
  std::deque<Parameter> parameters_;
  std::map<const Parameter*, const Parameter*> by_weight_;
};

// "NAME.step_sizes", (parameters of the weight's grid), of each weight whose step sizes are learned. config must
// outlive them.
StepSizes steps_of_weights(const WeightQuantization& config);

// Gives step sizes their first values, 2 mean |w| / sqrt(2^(bits-1) - 1) of the weights that share one, of one bit
// mean |w|, when quantization begins. Means are of sums over the pieces that groups of weights and blocks of 1,024
// elements of a unit's flat layout cut each other into, added by index: the same bits on any number of ranks.
class StepSizesBegin : public OwnerState {
 public:
  // holders: the ranks that together hold one copy of the state. All must outlive it.
  StepSizesBegin(const WeightQuantization& config, const StepSizes& steps, OptimizerPlacement& placement,
                 const std::vector<Owned>& owned, Communicator& holders)
      : config_(config), steps_(steps), placement_(placement), owned_(owned), holders_(holders) {}

  // Collective. updates: of a run, with the last. True: masters were written, which are to be published.
  bool begin_after(std::uint64_t updates);
  bool after_update(std::uint64_t updates) override;

 private:
  std::vector<double> sums_of_magnitudes(const Parameter& weight, const Owned& owned) const;
  void begin(const Parameter& weight, const Parameter& steps, const Owned& owned) const;

  const WeightQuantization& config_;
  const StepSizes& steps_;
  OptimizerPlacement& placement_;
  const std::vector<Owned>& owned_;
  Communicator& holders_;
};

}  // namespace tranche::compress
