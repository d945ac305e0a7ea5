// Sums whose order is fixed by logical index: partials over blocks of 1,024 elements, combined by the caller in index
// order. They are the same for every division of a flat layout into slices that begin on block boundaries.
#pragma once

#include <optional>
#include <span>

#include "runtime/tensor/tensor.h"

namespace tranche::ops {

inline constexpr std::size_t block = 1024;

// gradient *= factor, then partials[b] = sum of squares of block b, in double.
// gradient: float32, size a multiple of `block`; partials: size / block. Non-finite values give non-finite partials.
void scale_and_sum_squares(const Tensor& gradient, float factor, std::span<double> partials);

// Numbers of `device` that lie in rows: `count` of each, `stride` apart, until there are `total`.
struct Rows {
  const double* values;
  std::size_t count, stride, total;
};
// ((sum + first) + second) + ..., row by row.
double add_in_order(Device& device, double sum, const Rows& rows);
double add_in_order(Device& device, double sum, std::span<const double> values);

// The first element that is infinite or NaN. float32, bfloat16 or float16.
std::optional<std::size_t> first_non_finite(const Tensor& x);

}  // namespace tranche::ops
