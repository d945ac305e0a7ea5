// Fake quantization of one group of values (runtime/ops/fake_quantize.h). Block is what computes a group together: sum,
// max, each. y may be x.
#pragma once

#include "runtime/ops/fake_quantize.h"
#include "runtime/ops/functors/levels.h"
#include "runtime/ops/functors/math.h"

namespace tranche::ops::functors {

template <class Block, class T>
TRANCHE_FUNCTOR double sum_of_magnitudes(const Block& block, const T* x, std::size_t count) {
  return block.sum(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return double{magnitude(to_float(x[i]))}; });
}

// y = (clamp(round((x - zero) / scale), low, high)) * scale + zero
template <class Block, class T>
TRANCHE_FUNCTOR void on_levels(const Block& block, const T* x, float scale, float zero, float low, float high, T* y,
                               std::size_t count) {
  block.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    put<false>(y[i], to_nearest(clamped((to_float(x[i]) - zero) / scale, low, high)) * scale + zero);
  });
}

// Each returns the scale. `steps` is 2^bits.
template <class Block, class T>
TRANCHE_FUNCTOR float symmetric(const Block& block, const T* x, float steps, T* y, std::size_t count) {
  const float largest = larger(greatest(block, x, count), -least(block, x, count));
  const float scale = 2 * largest / steps;
  on_levels(block, x, scale, 0, -steps / 2, steps / 2 - 1, y, count);
  return scale;
}

template <class Block, class T>
TRANCHE_FUNCTOR float affine(const Block& block, const T* x, float steps, T* y, std::size_t count) {
  const float low = least(block, x, count), scale = (greatest(block, x, count) - low) / steps;
  const float zero = to_nearest(clamped(low / scale, -0x1p22f, 0x1p22f)) * scale;
  on_levels(block, x, scale, zero, 0, steps - 1, y, count);
  return scale;
}

template <class Block, class T> TRANCHE_FUNCTOR float ternary(const Block& block, const T* x, T* y, std::size_t count) {
  const auto threshold = static_cast<float>(0.7 * sum_of_magnitudes(block, x, count) / static_cast<double>(count));
  const double beyond = block.sum(
      count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return magnitude(to_float(x[i])) > threshold ? 1.0 : 0.0; });
  const double sum = block.sum(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float size = magnitude(to_float(x[i]));
    return size > threshold ? double{size} : 0.0;
  });
  const auto scale = static_cast<float>(sum / beyond);
  block.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float value = to_float(x[i]);
    put<false>(y[i], value > threshold ? scale : value < -threshold ? -scale : 0.0f);
  });
  return scale;
}

template <class Block, class T> TRANCHE_FUNCTOR float binary(const Block& block, const T* x, T* y, std::size_t count) {
  const auto scale = static_cast<float>(sum_of_magnitudes(block, x, count) / static_cast<double>(count));
  block.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float value = to_float(x[i]);
    put<false>(y[i], value > 0 ? scale : value < 0 ? -scale : 0.0f);
  });
  return scale;
}

// quantize_row and back, operation for operation (functors/quantize.h).
template <class Block, class T>
TRANCHE_FUNCTOR float widened(const Block& block, const T* x, float steps, T* y, std::size_t count) {
  const float high = larger(greatest(block, x, count), 0.0f), low = -larger(-least(block, x, count), 0.0f);
  const float scale = (high - low) / (steps - 1);
  const float zero = to_nearest(clamped(-low / scale, 0.0f, steps - 1));
  block.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    put<false>(y[i], to_nearest(clamped(to_float(x[i]) / scale, -zero, steps - 1 - zero)) * scale);
  });
  return scale;
}

template <class Block, class T>
TRANCHE_FUNCTOR float fake_quantized_group(const Block& block, FakeForm form, unsigned bits, const T* x, T* y,
                                           std::size_t count) {
  const float poison = poison_of(block, x, count);
  if (!(poison == 0)) {
    block.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { put<false>(y[i], poison); });
    return poison;
  }
  if (greatest(block, x, count) == least(block, x, count) && (form == FakeForm::affine || to_float(x[0]) == 0)) {
    block.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { y[i] = x[i]; });
    return 1;
  }
  const auto steps = static_cast<float>(1u << bits);
  switch (form) {
    case FakeForm::symmetric: return symmetric(block, x, steps, y, count);
    case FakeForm::affine: return affine(block, x, steps, y, count);
    case FakeForm::ternary: return ternary(block, x, y, count);
    case FakeForm::binary: return binary(block, x, y, count);
    case FakeForm::widened: break;
  }
  return widened(block, x, steps, y, count);
}

// Of one value, with a scale that is known before. NaN stays NaN.
TRANCHE_FUNCTOR float fake_quantized(float value, float scale, std::int32_t zero, Levels levels) {
  const auto origin = static_cast<float>(zero);
  const float low = static_cast<float>(levels.low) - origin, high = static_cast<float>(levels.high) - origin;
  return to_nearest(clamped(value / scale, low, high)) * scale + value * 0.0f;
}

// Learned step sizes. What a step counts as: NaN where it is not finite.
TRANCHE_FUNCTOR float step_in_use(float step) { return larger(magnitude(step), least_step) + step * 0.0f; }
// -half .. half - 1
TRANCHE_FUNCTOR float half_of_levels(unsigned bits) { return static_cast<float>(1u << (bits - 1)); }

// Of one bit.
TRANCHE_FUNCTOR float sign_of(float value) { return value < 0 ? -1.0f : 1.0f; }

template <class Block, class T>
TRANCHE_FUNCTOR void fake_quantized_by(const Block& block, float given_step, unsigned bits, const T* x, T* y,
                                       std::size_t count) {
  const float step = step_in_use(given_step), half = half_of_levels(bits);
  if (bits == 1) {
    block.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
      const float value = to_float(x[i]);
      put<false>(y[i], sign_of(value) * step + value * 0.0f);
    });
    return;
  }
  block.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float value = to_float(x[i]);
    put<false>(y[i], to_nearest(clamped(value / step, -half, half - 1)) * step + value * 0.0f);
  });
}

// Where x / step is rounded to, up to one beyond the levels' ends.
TRANCHE_FUNCTOR float wide_level(float quotient, float half) { return to_nearest(clamped(quotient, -half - 1, half)); }

template <bool adds, class Block, class T>
TRANCHE_FUNCTOR void fake_quantized_by_input_gradient(const Block& block, float given_step, unsigned bits, const T* dy,
                                                      const T* x, T* dx, std::size_t count) {
  const float step = step_in_use(given_step), half = half_of_levels(bits);
  if (bits == 1) {
    block.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
      put<adds>(dx[i], magnitude(to_float(x[i])) <= 1 ? step * to_float(dy[i]) : 0.0f);
    });
    return;
  }
  block.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float level = wide_level(to_float(x[i]) / step, half);
    put<adds>(dx[i], clamped(level, -half, half - 1) == level ? to_float(dy[i]) : 0.0f);
  });
}

template <class Block, class T>
TRANCHE_FUNCTOR float fake_quantized_by_step_gradient(const Block& block, float given_step, unsigned bits, const T* dy,
                                                      const T* x, std::size_t count) {
  const float step = step_in_use(given_step), half = half_of_levels(bits);
  if (bits == 1) {
    const double signs = block.sum(
        count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return double{sign_of(to_float(x[i])) * to_float(dy[i])}; });
    const float factor = 1 / square_root(static_cast<float>(count));
    return static_cast<float>(signs) * (given_step < 0 ? -factor : factor);
  }
  const double sum = block.sum(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float quotient = to_float(x[i]) / step, wide = wide_level(quotient, half);
    const float level = clamped(wide, -half, half - 1);
    return double{to_float(dy[i]) * (level == wide ? level - quotient : level)};
  });
  const float factor = 1 / square_root(static_cast<float>(count) * (half - 1));
  return static_cast<float>(sum) * (given_step < 0 ? -factor : factor);
}

}  // namespace tranche::ops::functors
