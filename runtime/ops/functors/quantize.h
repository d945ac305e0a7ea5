// Quantization of one value and of one row (runtime/ops/quantize.h). Block is what computes a row together: sum, max,
// each, single.
#pragma once

#include <cstdint>

#include "runtime/ops/functors/levels.h"
#include "runtime/ops/quantize.h"

namespace tranche::ops::functors {

// `zero`, `low` and `high` are integers; NaN becomes `low`.
TRANCHE_FUNCTOR std::int32_t quantized(float x, float scale, float zero, float low, float high) {
  return static_cast<std::int32_t>(to_nearest(clamped(x / scale, low - zero, high - zero)) + zero);
}
TRANCHE_FUNCTOR float dequantized(std::int32_t q, float scale, std::int32_t zero) {
  return static_cast<float>(q - zero) * scale;
}

// A row over its own range. q: (stride), 0 from cols on
template <class Block>
TRANCHE_FUNCTOR void quantize_row(const Block& block, std::size_t cols, std::size_t stride, const float* x,
                                  std::uint8_t* q, float* scale, std::int32_t* zero) {
  const float high = larger(greatest(block, x, cols), 0.0f), low = -larger(-least(block, x, cols), 0.0f);
  const float span = (high - low) / 255.0f, its_scale = span + poison_of(block, x, cols);
  const bool finite = its_scale - its_scale == 0.0f;
  const std::size_t usable = finite && span > 0 ? cols : 0;
  const float first = usable != 0 ? to_nearest(clamped(-low / span, 0.0f, 255.0f)) : 0.0f;
  block.single([&]() TRANCHE_ALWAYS_INLINE {
    *scale = its_scale;
    *zero = static_cast<std::int32_t>(first);
  });
  block.each(usable, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    q[i] = static_cast<std::uint8_t>(quantized(x[i], span, first, 0.0f, 255.0f));
  });
  block.each(stride - usable, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { q[usable + i] = 0; });
}

// A row with a scale and zero that are known before.
template <class Block>
TRANCHE_FUNCTOR void quantize_row_with(const Block& block, std::size_t cols, std::size_t stride, const float* x,
                                       float its_scale, std::int32_t its_zero, std::uint8_t* q, float* scale,
                                       std::int32_t* zero) {
  const auto origin = static_cast<float>(its_zero);
  const float poison = poison_of(block, x, cols);
  block.single([&]() TRANCHE_ALWAYS_INLINE {
    *scale = its_scale + poison;
    *zero = its_zero;
  });
  block.each(cols, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    q[i] = static_cast<std::uint8_t>(quantized(x[i], its_scale, origin, 0.0f, 255.0f));
  });
  block.each(stride - cols, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { q[cols + i] = 0; });
}

}  // namespace tranche::ops::functors
