// The elementary functions that kernels use, in float32 without a library: a library's calls keep loops from becoming
// vectors and differ between machines. No fused products, so every instruction path gives the same bits.
//
// The bounds in units in the last place (ulp) hold for normal results; denormal ones are within 1 ulp more. NaN gives
// NaN, and infinities give the limits. tests/runtime/ops/math.cpp measures all of it against double precision.
// Polynomials: minimax fits (Remez) of the remainder named beside each; the reductions are those of Cephes (Moshier).
#pragma once

#include "runtime/ops/functors/functor.h"

namespace tranche::ops::functors {

TRANCHE_FUNCTOR float square_root(float x) { return __builtin_sqrtf(x); }
TRANCHE_FUNCTOR float magnitude(float x) { return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0x7FFFFFFFu); }
// x held to [-bound, bound]; a NaN stays one.
TRANCHE_FUNCTOR float bounded(float x, float bound) {
  const float above = x < -bound ? -bound : x;
  return above > bound ? bound : above;
}

// e^x within 1 ulp: 0 below -104, infinity above 88.73.
TRANCHE_FUNCTOR float exp(float x) {
  constexpr float round = 0x1.8p23f;  // adding it leaves the nearest integer in the low bits
  const float input = bounded(x, 105.0f);
  const float shifted = input * 1.44269504f + round;
  const float whole = shifted - round;
  const float r = input - whole * 0.693359375f - whole * -2.12194440e-4f;  // the first product is exact
  float p = 1.381314243e-03f;                                              // (e^r - 1 - r) / r^2 for |r| <= log(2) / 2
  p = p * r + 8.369418792e-03f;
  p = p * r + 4.166845605e-02f;
  p = p * r + 1.666651517e-01f;
  p = p * r + 4.999999404e-01f;
  const float mantissa = p * (r * r) + r + 1.0f;
  // Times 2^whole, in two factors to reach denormals and infinity.
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) - 0x4B400000u;
  const std::uint32_t half = static_cast<std::uint32_t>(static_cast<std::int32_t>(exponent) >> 1);
  return mantissa * std::bit_cast<float>((half + 127u) << 23) * std::bit_cast<float>((exponent - half + 127u) << 23);
}

// The natural logarithm within 1 ulp: -infinity of 0, NaN below.
TRANCHE_FUNCTOR float log(float x) {
  const bool denormal = x < 0x1p-126f;
  const float normal = denormal ? x * 0x1p23f : x;
  // x = 2^exponent m with m in [sqrt(1/2), sqrt(2))
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(normal) + (0x3F800000u - 0x3F3504F3u);
  const float exponent = static_cast<float>(static_cast<std::int32_t>(bits >> 23) - (denormal ? 150 : 127));
  const float f = std::bit_cast<float>((bits & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
  float p = 6.746598333e-02f;  // (log(1 + f) - f + f^2 / 2) / f^3
  p = p * f + -1.167561412e-01f;
  p = p * f + 1.188816056e-01f;
  p = p * f + -1.240559518e-01f;
  p = p * f + 1.421955377e-01f;
  p = p * f + -1.666799486e-01f;
  p = p * f + 2.000211924e-01f;
  p = p * f + -2.500000894e-01f;
  p = p * f + 3.333331347e-01f;
  const float square = f * f;
  const float tail = p * f * square + exponent * -2.12194440e-4f - 0.5f * square;
  const float finite = f + tail + exponent * 0.693359375f;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const float positive = x < infinity ? finite : x;  // infinity and NaN are their own logarithms
  const float or_zero = x == 0.0f ? -infinity : positive;
  return x < 0.0f ? std::numeric_limits<float>::quiet_NaN() : or_zero;
}

// 1 / (1 + e^-x) within 3 ulp.
TRANCHE_FUNCTOR float sigmoid(float x) {
  const float e = exp(-magnitude(x));
  const float numerator = x < 0.0f ? e : 1.0f;
  return numerator / (1.0f + e);
}

// With its derivative, which 1 - sigmoid(x) would spoil where that is small: within 4 and 5 ulp.
struct ValueSlope {
  float value, slope;
};
TRANCHE_FUNCTOR ValueSlope sigmoid_and_slope(float x) {
  const float e = exp(-magnitude(x)), inverse = 1.0f / (1.0f + e), small = e * inverse;
  return {x < 0.0f ? small : inverse, small * inverse};
}

// (1 + erf(x / sqrt(2))) / 2: within 6 ulp above -1; below, the relative error grows with x^2, to 2e-6 at -5.
TRANCHE_FUNCTOR float normal_cdf(float x) {
  const float t = magnitude(x) * 7.071067812e-01f;
  const float w = 1.0f / (1.0f + 0.5f * t);
  float p = 3.576682135e-02f;  // erfc(t) e^(t^2) / w
  p = p * w + -1.910316497e-01f;
  p = p * w + 3.814149499e-01f;
  p = p * w + -2.895846665e-01f;
  p = p * w + -2.196741849e-02f;
  p = p * w + 3.541053087e-02f;
  p = p * w + 5.487595126e-02f;
  p = p * w + 1.855954975e-01f;
  p = p * w + 2.451790720e-01f;
  p = p * w + 2.822524011e-01f;
  p = p * w + 2.820885181e-01f;
  const float tail = 0.5f * exp(-(t * t)) * (p * w);  // of the normal distribution, beyond |x|
  const float upper = 1.0f - tail;
  return x < 0.0f ? tail : upper;
}

// cos and sin of 2 pi turns, for 0 <= turns < 1: within 2 ulp, and exact at the quarters.
struct CosineSine {
  float cosine, sine;
};
TRANCHE_FUNCTOR CosineSine cosine_sine_of_turns(float turns) {
  constexpr float round = 0x1.8p23f;
  const float shifted = turns * 4.0f + round;
  const std::uint32_t quarter = std::bit_cast<std::uint32_t>(shifted);  // in the low bits
  const float a = (turns - (shifted - round) * 0.25f) * 6.283185307f;   // |a| <= pi / 4
  const float z = a * a;
  float s = -1.951528393e-04f;  // (sin(a) / a - 1) / a^2
  s = s * z + 8.332160302e-03f;
  s = s * z + -1.666665524e-01f;
  const float sine = s * z * a + a;
  float c = 2.443845187e-05f;  // (cos(a) - 1 + a^2 / 2) / a^4
  c = c * z + -1.388736768e-03f;
  c = c * z + 4.166664556e-02f;
  const float cosine = c * z * z - 0.5f * z + 1.0f;
  const bool odd = (quarter & 1u) != 0;
  const float first = odd ? sine : cosine, second = odd ? cosine : sine;
  const std::uint32_t first_sign = ((quarter + 1u) & 2u) << 30, second_sign = (quarter & 2u) << 30;
  return {std::bit_cast<float>(std::bit_cast<std::uint32_t>(first) ^ first_sign),
          std::bit_cast<float>(std::bit_cast<std::uint32_t>(second) ^ second_sign)};
}

}  // namespace tranche::ops::functors
