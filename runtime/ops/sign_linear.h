// Products of signs: weights and inputs of one bit, +1 or -1 times a scale of their row (XNOR-Net: Rastegari et al.
// 2016). The sum of products is an integer, columns - 2 popcount(x xor w), exact on every instruction path; what is
// float is one element's own arithmetic in a fixed order.
#pragma once

#include <cstdint>

#include "runtime/base/round.h"
#include "runtime/tensor/tensor.h"

namespace tranche::ops {

// By what a row of signs is multiplied: nothing, or the mean of its magnitudes.
enum class SignScale : std::uint8_t { one, row_mean };

// Rows of signs: a bit for each column, set where it is positive or 0, 64 of them in a word, the first in its lowest
// bit; bits beyond the last column are 0.
inline constexpr std::size_t signs_in_word = 64;
TRANCHE_HOST_DEVICE inline std::size_t sign_words(std::size_t cols) { return pieces_of(cols, signs_in_word); }
inline std::size_t sign_bytes(std::size_t rows, std::size_t cols) { return rows * sign_words(cols) * 8; }

struct SignRows {
  std::size_t rows = 0, cols = 0;
  Tensor bits;    // (sign_bytes) uint8
  Tensor scales;  // (rows) float32
};

// signs, whose tensors are there, become those of x, with their scales. A row that is not finite has the scale NaN.
// x: (rows, cols) float32
void take_signs(const Tensor& x, SignScale scale, const SignRows& signs);

// y = x weight^T + bias, of x's signs.  x: (rows, in) float32; weight: (out, in); bias: (out) float32 or none; y:
// (rows, out) float32; in < 2^31
void sign_linear(const Tensor& x, SignScale scale, const SignRows& weight, const Tensor& bias, const Tensor& y);

}  // namespace tranche::ops
