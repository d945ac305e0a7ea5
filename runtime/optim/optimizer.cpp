#include "runtime/optim/optimizer.h"

#include <cmath>

#include "runtime/base/trace.h"
#include "runtime/ops/optimizer.h"

namespace tranche {
namespace {

class Adam : public Optimizer {
 public:
  Adam(const AdamOptions& options, const std::vector<Owned>& owned) : options_(options) {
    add_state("exp_avg", owned);
    add_state("exp_avg_sq", owned);
  }

  void update(const std::vector<Owned>& owned, const Shards& gradients, const Rates& rates,
              std::uint64_t updates) override {
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
    for (std::size_t u = 0; u < owned.size(); ++u) {
      const trace::Span span{trace::Kind::optimizer, "update", owned[u].unit->name()};
      ops::adam(step, owned[u].master, state(0, u), state(1, u), gradients[u], owned[u].working);
    }
  }

 private:
  AdamOptions options_;
};

class Sgd : public Optimizer {
 public:
  Sgd(const SgdOptions& options, const std::vector<Owned>& owned) : options_(options) {
    if (options.momentum != 0) add_state("momentum_buffer", owned);
  }

  void update(const std::vector<Owned>& owned, const Shards& gradients, const Rates& rates,
              std::uint64_t updates) override {
    const ops::SgdStep step{.rate = static_cast<float>(rates.rate),
                            .momentum = static_cast<float>(options_.momentum),
                            .dampening = static_cast<float>(options_.dampening),
                            .weight_decay = static_cast<float>(options_.weight_decay),
                            .nesterov = options_.nesterov,
                            .first = updates == 0};
    for (std::size_t u = 0; u < owned.size(); ++u) {
      const trace::Span span{trace::Kind::optimizer, "update", owned[u].unit->name()};
      ops::sgd(step, owned[u].master, options_.momentum == 0 ? Tensor{} : state(0, u), gradients[u], owned[u].working);
    }
  }

 private:
  SgdOptions options_;
};

}  // namespace

void Optimizer::add_state(const std::string& name, const std::vector<Owned>& owned) {
  State kind{name, {}};
  for (const Owned& each : owned)
    kind.tensors.push_back(Tensor::zeros(each.master.device(), each.unit->name() + " " + name, Category::optimizer,
                                         each.master.shape(), DType::float32));
  states_.push_back(std::move(kind));
}

std::unique_ptr<Optimizer> make_adam(const AdamOptions& options, const std::vector<Owned>& owned) {
  return std::make_unique<Adam>(options, owned);
}
std::unique_ptr<Optimizer> make_sgd(const SgdOptions& options, const std::vector<Owned>& owned) {
  return std::make_unique<Sgd>(options, owned);
}

}  // namespace tranche
