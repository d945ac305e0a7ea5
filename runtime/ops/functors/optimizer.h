// Optimizer updates of one element; the formulas are those of runtime/ops/optimizer.h.
#pragma once

#include "runtime/ops/functors/math.h"
#include "runtime/ops/optimizer.h"

namespace tranche::ops::functors {

// What is one value for the whole call is computed once, in double.
struct Adam {
  float beta1, rest1, beta2, rest2, rate, inverse2, epsilon, keep, l2;

  explicit Adam(const AdamStep& s)
      : beta1(s.beta1),
        rest1(static_cast<float>(1.0 - double{s.beta1})),
        beta2(s.beta2),
        rest2(static_cast<float>(1.0 - double{s.beta2})),
        rate(static_cast<float>(double{s.rate} / double{s.correction1})),
        inverse2(static_cast<float>(1.0 / double{s.correction2})),
        epsilon(s.epsilon),
        keep(s.decoupled ? static_cast<float>(1.0 - double{s.rate} * double{s.weight_decay}) : 1.0f),
        l2(s.decoupled ? 0.0f : s.weight_decay) {}

  TRANCHE_FUNCTOR void operator()(float& weight, float& mean, float& square, float gradient) const {
    const float g = gradient + l2 * weight;
    mean = beta1 * mean + rest1 * g;
    square = beta2 * square + rest2 * (g * g);
    weight = weight * keep - rate * mean / (square_root(square * inverse2) + epsilon);
  }
};

struct Sgd {
  float rate, momentum, fresh, l2, nesterov;

  explicit Sgd(const SgdStep& s)
      : rate(s.rate),
        momentum(s.first ? 0.0f : s.momentum),
        fresh(s.first ? 1.0f : static_cast<float>(1.0 - double{s.dampening})),
        l2(s.weight_decay),
        nesterov(s.momentum) {}

  TRANCHE_FUNCTOR void operator()(float& weight, float gradient) const { weight -= rate * (gradient + l2 * weight); }

  // The buffer is not read at the first update: it may hold anything.
  template <bool first, bool looks_ahead>
  TRANCHE_FUNCTOR void update(float& weight, float& buffer, float gradient) const {
    const float g = gradient + l2 * weight;
    if constexpr (first)
      buffer = g;
    else
      buffer = momentum * buffer + fresh * g;
    if constexpr (looks_ahead)
      weight -= rate * (g + nesterov * buffer);
    else
      weight -= rate * buffer;
  }
};

}  // namespace tranche::ops::functors
