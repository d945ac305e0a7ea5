#include "amp/loss_scaler.h"

#include <algorithm>

namespace tranche {

GradientNorm ScalerOf::unscale(const Shards& gradients) {
  const GradientNorm norm = scaled_norm(gradients, 1 / scale_, owned_, replica_);
  if (!norm.finite() && at_floor())
    fail(Exit::numerics, str("overflow at the smallest loss scale, ", scale_, ": the gradient of ",
                             first_non_finite(gradients, owned_, replica_),
                             "; the loss or its gradient is not finite on its own: lower the learning rate, clip "
                             "gradients, use bf16, or "
                             "look at the data of this step"));
  return norm;
}

DynamicScaler::DynamicScaler(const std::vector<Owned>& owned, Communicator& replica, const Options& options)
    : ScalerOf(owned, replica, options.initial), options_(options), hysteresis_(options.hysteresis) {}

void DynamicScaler::adapt(const GradientNorm& norm) {
  if (!norm.finite()) {
    if (hysteresis_ == 1)
      set_scale(std::max(scale() / 2, options_.floor));
    else
      --hysteresis_;
    last_overflow_ = iteration_;
  } else {
    if (options_.consecutive_hysteresis) hysteresis_ = options_.hysteresis;
    if ((iteration_ - last_overflow_) % options_.window == 0) {
      hysteresis_ = options_.hysteresis;
      set_scale(scale() * 2);
    }
  }
  ++iteration_;
}

NamedNumbers DynamicScaler::state() const {
  NamedNumbers numbers = ScalerOf::state();
  numbers["iteration"] = static_cast<double>(iteration_);
  numbers["last_overflow_iteration"] = static_cast<double>(last_overflow_);
  numbers["hysteresis"] = static_cast<double>(hysteresis_);
  return numbers;
}

void DynamicScaler::restore(const NamedNumbers& state) {
  ScalerOf::restore(state);
  iteration_ = static_cast<std::int64_t>(number_of(state, "iteration"));
  last_overflow_ = static_cast<std::int64_t>(number_of(state, "last_overflow_iteration"));
  hysteresis_ = static_cast<std::int64_t>(number_of(state, "hysteresis"));
}

TorchScaler::TorchScaler(const std::vector<Owned>& owned, Communicator& replica, const Options& options)
    : ScalerOf(owned, replica, options.initial), options_(options) {}

void TorchScaler::adapt(const GradientNorm& norm) {
  if (!norm.finite()) {
    set_scale(scale() * options_.backoff);
    growth_tracker_ = 0;
  } else if (++growth_tracker_ == options_.interval) {
    set_scale(scale() * options_.growth);
    growth_tracker_ = 0;
  }
}

NamedNumbers TorchScaler::state() const {
  NamedNumbers numbers = ScalerOf::state();
  numbers["_growth_tracker"] = static_cast<double>(growth_tracker_);
  return numbers;
}

void TorchScaler::restore(const NamedNumbers& state) {
  ScalerOf::restore(state);
  growth_tracker_ = static_cast<std::int64_t>(number_of(state, "_growth_tracker"));
}

}  // namespace tranche
