// Products with weights of eight, four or two bits. The sums are integers, exact on every instruction path; what is
// float is one element's own arithmetic in a fixed order: the same bits on every path and number of threads.
#pragma once

#include <cstdint>

#include "runtime/ops/quantize.h"

namespace tranche::ops {

// weight[row, col] = scale[row, col / group] * q[row, col], q in -127 .. 127, -8 .. 7 or -2 .. 1.
//
// Packed for the kernels: blocks of 16 rows; within a block, for every four columns, the four values of each row side
// by side. Of fewer bits than eight, a byte holds a value in its lowest bits and, above it, those four, eight and
// twelve columns further on. Rows and columns beyond the matrix are 0.
struct PackedShape {
  std::size_t out = 0, in = 0, group = 0;
  unsigned bits = 8;  // or 4, 2

  static constexpr std::size_t block = 16;
  TRANCHE_HOST_DEVICE std::size_t blocks() const { return pieces_of(out, block); }
  // Columns of groups are a multiple of this.
  TRANCHE_HOST_DEVICE std::size_t granule() const { return bits == 2 ? 16 : 8; }
  TRANCHE_HOST_DEVICE std::size_t padded_in() const { return padded(in, granule()); }
  TRANCHE_HOST_DEVICE std::size_t groups() const { return pieces_of(in, group); }
  std::size_t bytes() const { return blocks() * block * padded_in() * bits / 8; }
  std::size_t scales() const { return blocks() * groups() * block; }
};

struct PackedWeight {
  PackedShape shape;
  Tensor values;  // (bytes) uint8
  Tensor scales;  // (blocks, groups, 16) float32
  Tensor sums;    // as scales, int32: the sum of a group's values, times 2^(8 - bits)
};

// What of x the product sees. Both are exact from there on.
enum class ActivationForm : std::uint8_t {
  bytes,  // each row over its own range, in 256 levels (quantize_rows)
  words,  // each row in 65,535 levels about 0: of float32's exactness half a bfloat16's more
};

// The form that a weight may be multiplied in. bytes: one group a row, at most 65,536 columns, so that a sum is an
// int32. words: groups of at most 128 columns, a multiple of the granule.
// Throws Exit::internal, naming `what`, for another shape.
void check_packed_shape(std::string_view what, const PackedShape& shape, ActivationForm form);

// q: (out, in) int8, scales: (out, groups) float32. Fills the weight's tensors.
void pack_weight(const Tensor& q, const Tensor& scales, const PackedWeight& weight);

// y = x weight^T + bias.  x: (rows, in), bias: (out) or none, y: (rows, out); all float32
void packed_linear(const Tensor& x, ActivationForm form, const PackedWeight& weight, const Tensor& bias,
                   const Tensor& y);
// The same in bytes of a scale and zero that are known before: x is clamped to what their 256 levels reach.
void packed_linear(const Tensor& x, float scale, std::int32_t zero, const PackedWeight& weight, const Tensor& bias,
                   const Tensor& y);

// y[i] = row numbers[i] of the table.  numbers: (count) int32, y: (count, in) float32
// Throws Exit::data if a number is not a row's.
void packed_rows(const Tensor& numbers, const PackedWeight& table, const Tensor& y);

}  // namespace tranche::ops
