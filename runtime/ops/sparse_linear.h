// Products with weights of which many are zero, and which lie without those: read are one bit an element and the values
// that are left. Zeros count as the numbers that they are.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/round.h"
#include "runtime/tensor/tensor.h"

namespace tranche::ops {

// A weight of (out, in), in blocks of sixteen rows, the last one of what is left.
struct SparseShape {
  std::size_t out = 0, in = 0;

  static constexpr std::size_t block = 16;
  TRANCHE_HOST_DEVICE std::size_t blocks() const { return pieces_of(out, block); }
};

// For the kernels: of a block, column by column, which of its sixteen rows have a value there, the first in the lowest
// bit; and these values, column by column, of each column row by row. Not there is what is +0.
struct SparseWeight {
  SparseShape shape;
  Tensor places;  // (blocks, in) numbers of 16 bits, as uint8
  Tensor starts;  // (blocks + 1) numbers of 64 bits, as uint8: where a block's values begin, and how many there are
  Tensor values;  // (values that are there + 16) float32: what loads sixteen at once may
};

// dense: (out, in) float32. The tensors are parameters of that name. Waits for the device.
SparseWeight without_zeros(const Tensor& dense, const std::string& name);

// Of so many rows a product reads the weight without its zeros; of more, it lays it out whole and multiplies that.
inline constexpr std::size_t few_rows = 32;

// y = x weight^T + bias.  x: (rows, in), bias: (out) or none, y: (rows, out); all float32
//
// An output of few rows is ((0 + x0 w0) + x1 w1) + ..., over all columns in their order, each product and each sum
// rounded; then the bias: the same bits on every instruction path and number of threads, and of a row by itself or
// among others. Of more rows it has the bits of linear().
void sparse_linear(const Tensor& x, const SparseWeight& weight, const Tensor& bias, const Tensor& y);

// y[i] = row numbers[i] of the table.  numbers: (count) int32, y: (count, in) float32
// Throws Exit::data if a number is not a row's.
void sparse_rows(const Tensor& numbers, const SparseWeight& table, const Tensor& y);

}  // namespace tranche::ops
