// Sums, copies, dropout. All tensors of a call have one size.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/base/random.h"
#include "runtime/ops/destination.h"

namespace tranche::ops {

// y = round(a + b), in float32. y may be a or b.
void add(const Tensor& a, const Tensor& b, const Tensor& y);

// Writes or adds `from` to the destination, as the destination says; dtypes may differ.
void store(const Tensor& from, const Destination& to);

// y = x in y's dtype, rounded to nearest even.
void convert(const Tensor& x, const Tensor& y);

// x *= factor, float32.
void scale(const Tensor& x, float factor);

// sum[i] += from[i] for float32, bfloat16 or float16 `from` in memory of the sum's device, each added exactly as
// float32. Runs on the calling thread alone and touches no device state: collectives call it from their own thread.
void accumulate(std::span<const std::byte> from, DType dtype, const Tensor& sum);

// y[i] = number i of key's stream kept (uniform >= probability) ? x[i] / (1 - probability) : 0. Its own gradient: apply
// it to dy with the same key.
void dropout(const Tensor& x, float probability, RandomKey key, const Tensor& y);
void dropout_gradient(const Tensor& dy, float probability, RandomKey key, const Destination& dx);

// Element i becomes element first + i of the key's normal stream: mean + deviation * z, where elements 2j and 2j + 1
// are the pair that Box, Muller 1958 make of numbers 2j and 2j + 1; |z| is at most 5.77. x: float32.
void fill_normal(const Tensor& x, RandomKey key, std::uint64_t first, float mean, float deviation);
// float32, bfloat16 or float16
void fill_constant(const Tensor& x, float value);

}  // namespace tranche::ops
