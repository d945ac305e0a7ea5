// Optimizers: they update what a rank owns, one pass over each unit's slice, and round the result into the working
// copy.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/nn/seams.h"
#include "runtime/optim/schedule.h"

namespace tranche {

class Optimizer {
 public:
  // One kind of state: a float32 tensor for each Owned, shaped as its master.
  struct State {
    std::string name;             // PyTorch's: "exp_avg", "exp_avg_sq", "momentum_buffer"
    std::vector<Tensor> tensors;  // by unit
  };

  virtual ~Optimizer() = default;
  // gradients: indexed as owned. updates: how many were done before; bias corrections count updates, not steps.
  // Scalars of the update are computed in double and rounded to float32 once.
  virtual void update(const std::vector<Owned>& owned, const Shards& gradients, const Rates& rates,
                      std::uint64_t updates) = 0;
  // For checkpoints: what is written there is continued from.
  const std::vector<State>& states() const { return states_; }

 protected:
  // A zero tensor for each Owned.
  void add_state(const std::string& name, const std::vector<Owned>& owned);
  const Tensor& state(std::size_t kind, std::size_t unit) const { return states_[kind].tensors[unit]; }

 private:
  std::vector<State> states_;
};

// Kingma, Ba 2015. decoupled: Loshchilov, Hutter 2019 (AdamW); else decay is added to the gradient.
struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  bool decoupled = true, bias_correction = true;
};
std::unique_ptr<Optimizer> make_adam(const AdamOptions& options, const std::vector<Owned>& owned);

// torch.optim.SGD.
struct SgdOptions {
  double momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
};
std::unique_ptr<Optimizer> make_sgd(const SgdOptions& options, const std::vector<Owned>& owned);

}  // namespace tranche
