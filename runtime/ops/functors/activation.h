// Activations: value(x) and slope(x), the derivative.
#pragma once

#include "runtime/ops/activation.h"
#include "runtime/ops/functors/math.h"

namespace tranche::ops::functors {

// Beyond this, slopes are 0 or 1 in float32. Holding x here keeps powers of it finite.
inline constexpr float saturation = 20.0f;

// x (1 + tanh(u)) / 2 = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
struct GeluTanh {
  static constexpr float twice = 1.595769122f, cubic = 0.044715f;  // 2 sqrt(2 / pi)

  TRANCHE_FUNCTOR static float inner(float x) { return twice * (x + cubic * (x * x * x)); }
  TRANCHE_FUNCTOR float value(float x) const { return x * sigmoid(inner(x)); }
  TRANCHE_FUNCTOR float slope(float x) const {
    const float c = bounded(x, saturation);
    const ValueSlope gate = sigmoid_and_slope(inner(c));
    return gate.value + c * gate.slope * (twice * (1.0f + 3.0f * cubic * (c * c)));
  }
};

struct GeluErf {
  static constexpr float density_at_zero = 3.989422804e-01f;  // 1 / sqrt(2 pi)

  TRANCHE_FUNCTOR float value(float x) const { return x * normal_cdf(x); }
  TRANCHE_FUNCTOR float slope(float x) const {
    const float c = bounded(x, saturation);
    return normal_cdf(c) + c * (density_at_zero * exp(-0.5f * (c * c)));
  }
};

struct Silu {
  TRANCHE_FUNCTOR float value(float x) const { return x * sigmoid(x); }
  TRANCHE_FUNCTOR float slope(float x) const {
    const float c = bounded(x, 200.0f);
    const ValueSlope gate = sigmoid_and_slope(c);
    return gate.value + c * gate.slope;
  }
};

// A NaN stays one; the slope at 0 is 0.
struct Relu {
  TRANCHE_FUNCTOR float value(float x) const { return x < 0.0f ? 0.0f : x; }
  TRANCHE_FUNCTOR float slope(float x) const {
    const float nan_or_one = x == x ? 1.0f : x;
    return x <= 0.0f ? 0.0f : nan_or_one;
  }
};

// Calls work(F{}) with the functor of `kind`.
template <class Work> [[gnu::always_inline]] inline void with_activation(Activation kind, const Work& work) {
  switch (kind) {
    case Activation::gelu_tanh: return work(GeluTanh{});
    case Activation::gelu_erf: return work(GeluErf{});
    case Activation::silu: return work(Silu{});
    case Activation::relu: return work(Relu{});
  }
}

}  // namespace tranche::ops::functors
