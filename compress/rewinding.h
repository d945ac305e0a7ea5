// Rewinding of weights between the rounds of iterative pruning (lottery tickets: Frankle, Carbin 2019): what they were
// after some updates of the first training is kept, and what is left of them becomes that again.
#pragma once

#include "compress/pruning_config.h"
#include "runtime/optim/optimizer.h"
#include "runtime/optim/placement.h"
#include "runtime/train/seams.h"

namespace tranche::compress {

// The weights that are kept are one more moment of the optimizer's placement, "rewind_weights", of all parameters: it
// is divided, offloaded, saved, counted and part of the digest as the other moments are.
class RewoundWeights : public OwnerState {
 public:
  // Does nothing where weights are not rewound. The optimizer has its moments, the first `own` of them, and the mask
  // "pruned" is there already. All must outlive it.
  RewoundWeights(const PruningConfig& config, OptimizerPlacement& placement, const std::vector<Owned>& owned,
                 std::size_t own);

  // updates: of a run, with the last. Keeps the weights if it is time.
  void begin_after(std::uint64_t updates);
  // Behind the mask that this update's end may have made.
  bool after_update(std::uint64_t updates) override;

 private:
  void rewind();

  const PruningConfig& config_;
  OptimizerPlacement& placement_;
  std::size_t units_, own_;
  std::size_t mask_ = 0, kept_ = 0;  // kinds
};

// An optimizer whose moments become none whenever weights are rewound: it counts updates from there.
class RewoundOptimizer : public Optimizer {
 public:
  // Both must outlive it.
  RewoundOptimizer(const PruningConfig& config, Optimizer& optimizer, OptimizerPlacement& placement)
      : Optimizer(placement), config_(config), optimizer_(optimizer) {}
  void update(const Shards& gradients, const Rates& rates, std::uint64_t updates) override {
    optimizer_.update(gradients, rates, config_.counted_after(updates));
  }

 private:
  const PruningConfig& config_;
  Optimizer& optimizer_;
};

// The same for its learning rates. config must outlive the result.
Schedule rewound(const PruningConfig& config, Schedule schedule);

}  // namespace tranche::compress
