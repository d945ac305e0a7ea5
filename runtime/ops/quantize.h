// Between real numbers and integers of eight bits or fewer: real = scale * (q - zero) (Jacob et al. 2018, equation 1).
//
// Rounding is to nearest, ties to even, and a quotient is a true division: what ONNX's QuantizeLinear,
// DequantizeLinear and DynamicQuantizeLinear define. The same bits on every instruction path and number of threads.
#pragma once

#include <cstdint>

#include "runtime/base/round.h"
#include "runtime/tensor/tensor.h"

namespace tranche::ops {

// Which scale an element has: element (row, col) of a (rows, cols) matrix has number row * groups() + col / group. The
// last group of a row may be shorter.
struct QuantizationGrid {
  std::size_t rows = 1, cols = 0, group = 0;

  static QuantizationGrid per_tensor(std::size_t size) { return {1, size, size}; }
  static QuantizationGrid per_row(std::size_t rows, std::size_t cols) { return {rows, cols, cols}; }
  TRANCHE_HOST_DEVICE std::size_t groups() const { return group == 0 ? 0 : pieces_of(cols, group); }
  std::size_t parameters() const { return rows * groups(); }
};

// The integers that may be used, both ends included.
struct Levels {
  std::int32_t low = -127, high = 127;
};

// q = clamp(round(x / scale) + zero, low, high); NaN becomes the lowest level.
// x: (rows, cols) float32, scales: (parameters) float32, zeros: (parameters) int32 or none, q: as x, int8 or uint8
void quantize(const Tensor& x, const Tensor& scales, const Tensor& zeros, const QuantizationGrid& grid, Levels levels,
              const Tensor& q);

// x = (q - zero) * scale.  q: (rows, cols) int8 or uint8, x: as q, float32
void dequantize(const Tensor& q, const Tensor& scales, const Tensor& zeros, const QuantizationGrid& grid,
                const Tensor& x);

// Each row over its own range, which contains 0, to the levels 0 .. 255: scale = (high - low) / 255, zero =
// clamp(round(-low / scale)). A row of zeros has scale 0 and q 0; one that is not finite has a scale of NaN, so that
// what is computed from it is NaN too.
// x: (rows, cols) float32, q: (rows, stride >= cols) uint8, padding is 0; scales: (rows) float32, zeros: (rows) int32
void quantize_rows(const Tensor& x, const Tensor& q, const Tensor& scales, const Tensor& zeros);
// Every row with one scale and zero, which are known before; they are written to scales and zeros. A row that is not
// finite has a scale of NaN here too.
void quantize_rows_with(float scale, std::int32_t zero, const Tensor& x, const Tensor& q, const Tensor& scales,
                        const Tensor& zeros);

}  // namespace tranche::ops
