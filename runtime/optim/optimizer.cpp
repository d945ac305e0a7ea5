#include "runtime/optim/optimizer.h"

#include <cmath>

#include "runtime/ops/optimizer.h"

namespace tranche {
namespace {

class Adam : public Optimizer {
 public:
  Adam(const AdamOptions& options, OptimizerPlacement& placement) : Optimizer(placement), options_(options) {
    placement.add_moment("exp_avg");
    placement.add_moment("exp_avg_sq");
  }

  void update(const Shards& gradients, const Rates& rates, std::uint64_t updates) override {
    const Rates::Betas betas = rates.betas.value_or(Rates::Betas{options_.beta1, options_.beta2});
    const auto correction = [&](double beta) {
      return options_.bias_correction ? static_cast<float>(1 - std::pow(beta, static_cast<double>(updates + 1))) : 1.0f;
    };
    const ops::AdamStep step{.rate = static_cast<float>(rates.rate),
                             .beta1 = static_cast<float>(betas.beta1),
                             .beta2 = static_cast<float>(betas.beta2),
                             .epsilon = static_cast<float>(options_.epsilon),
                             .weight_decay = static_cast<float>(options_.weight_decay),
                             .correction1 = correction(betas.beta1),
                             .correction2 = correction(betas.beta2),
                             .decoupled = options_.decoupled};
    placement().update(gradients, 3, [&](const StatePiece& at) {
      ops::adam(step, at.master, at.moments[0], at.moments[1], at.gradient, at.rounded, at.sums);
    });
  }

 private:
  AdamOptions options_;
};

class Sgd : public Optimizer {
 public:
  Sgd(const SgdOptions& options, OptimizerPlacement& placement) : Optimizer(placement), options_(options) {
    if (options.momentum != 0) placement.add_moment("momentum_buffer");
  }

  void update(const Shards& gradients, const Rates& rates, std::uint64_t updates) override {
    const ops::SgdStep step{.rate = static_cast<float>(rates.rate),
                            .momentum = static_cast<float>(options_.momentum),
                            .dampening = static_cast<float>(options_.dampening),
                            .weight_decay = static_cast<float>(options_.weight_decay),
                            .nesterov = options_.nesterov,
                            .first = updates == 0};
    placement().update(gradients, options_.momentum != 0 ? 2 : 1, [&](const StatePiece& at) {
      ops::sgd(step, at.master, options_.momentum != 0 ? at.moments[0] : Tensor{}, at.gradient, at.rounded, at.sums);
    });
  }

 private:
  SgdOptions options_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(const AdamOptions& options, OptimizerPlacement& placement) {
  return std::make_unique<Adam>(options, placement);
}
std::unique_ptr<Optimizer> make_sgd(const SgdOptions& options, OptimizerPlacement& placement) {
  return std::make_unique<Sgd>(options, placement);
}

}  // namespace tranche
