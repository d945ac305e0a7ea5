// Optimizers: they update what a rank owns, one pass over it, and round the result into the working copy. A placement
// keeps their moments, under PyTorch's names: "exp_avg", "exp_avg_sq", "momentum_buffer".
#pragma once

#include <cstdint>
#include <memory>

#include "runtime/optim/placement.h"
#include "runtime/optim/schedule.h"

namespace tranche {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // gradients: float32, indexed as a store's owned. updates: how many were done before; bias corrections count updates,
  // not steps. Scalars of the update are computed in double and rounded to float32 once.
  virtual void update(const Shards& gradients, const Rates& rates, std::uint64_t updates) = 0;

 protected:
  explicit Optimizer(OptimizerPlacement& placement) : placement_(placement) {}
  OptimizerPlacement& placement() { return placement_; }

 private:
  OptimizerPlacement& placement_;
};

// Kingma, Ba 2015. decoupled: Loshchilov, Hutter 2019 (AdamW); else decay is added to the gradient.
struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  bool decoupled = true, bias_correction = true;
};
std::unique_ptr<Optimizer> make_adam(const AdamOptions& options, OptimizerPlacement& placement);

// torch.optim.SGD.
struct SgdOptions {
  double momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
};
std::unique_ptr<Optimizer> make_sgd(const SgdOptions& options, OptimizerPlacement& placement);

}  // namespace tranche
