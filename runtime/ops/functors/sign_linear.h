// Rows of signs and their products (runtime/ops/sign_linear.h).
#pragma once

#include "runtime/ops/functors/fake_quantize.h"
#include "runtime/ops/sign_linear.h"

namespace tranche::ops::functors {

// What a row's signs are multiplied by: of the mean, fake_quantize's of one bit.
template <class Block>
TRANCHE_FUNCTOR float scale_of_signs(const Block& block, SignScale scale, const float* x, std::size_t cols) {
  const float poison = poison_of(block, x, cols);
  if (scale == SignScale::one) return 1 + poison;
  if (greatest(block, x, cols) == 0 && least(block, x, cols) == 0) return 1 + poison;
  return static_cast<float>(sum_of_magnitudes(block, x, cols) / static_cast<double>(cols)) + poison;
}

TRANCHE_FUNCTOR std::uint64_t word_of_signs(const float* x, std::size_t count) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < count; ++i) word |= std::uint64_t{x[i] < 0 ? 0u : 1u} << i;
  return word;
}

// differing: columns whose signs are not the same
TRANCHE_FUNCTOR float product_of_signs(std::size_t cols, std::uint64_t differing, float x_scale, float weight_scale,
                                       float bias) {
  const auto sum = static_cast<std::int32_t>(cols) - 2 * static_cast<std::int32_t>(differing);
  return static_cast<float>(sum) * weight_scale * x_scale + bias;
}

}  // namespace tranche::ops::functors
