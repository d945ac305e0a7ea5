// Rounding to few levels in place of floating numbers, while they stay floating: what training computes with so that it
// learns what quantization will cost (Jacob et al. 2018). In float32, result rounded to y's dtype; the same bits on
// every instruction path and number of threads.
#pragma once

#include "runtime/ops/destination.h"
#include "runtime/ops/quantize.h"

namespace tranche::ops {

// How a group of values becomes levels. The first four are DeepSpeed's, of weights (deepspeed/compression/utils.py).
enum class FakeForm : std::uint8_t {
  symmetric,  // scale = 2 largest magnitude / 2^bits, levels -2^(bits-1) .. 2^(bits-1) - 1
  affine,     // scale = (high - low) / 2^bits, levels low .. low + 2^bits - 1, about round(low / scale)
  ternary,    // -a, 0, a: a is the mean magnitude of those beyond 0.7 of the mean magnitude (Li et al. 2016)
  binary,     // -a, 0, a: a is the mean magnitude, 0 is 0 (Rastegari et al. 2016)
  widened,    // levels 0 .. 2^bits - 1 over a range that contains 0: with eight bits what quantize_rows computes
};

// y = x on its group's levels. A group that holds a value that is not finite becomes NaN; one of zeros stays zero, and
// an affine one of equal values stays as it is.
// x: floating, of grid.rows x grid.cols elements, y: as x; scales: (parameters) float32 or none, receives the scales;
// bits: 1 .. 8, of ternary and binary without effect
void fake_quantize(const Tensor& x, const QuantizationGrid& grid, FakeForm form, unsigned bits, const Tensor& y,
                   const Tensor& scales = {});

// y = (clamp(round(x / scale) + zero, levels) - zero) * scale; NaN stays NaN.
void fake_quantize_with(float scale, std::int32_t zero, Levels levels, const Tensor& x, const Tensor& y);

// Levels of learned step sizes (LSQ: Esser et al. 2020): y = s clamp(round(x / s), -2^(bits-1), 2^(bits-1) - 1), where
// s is the magnitude of the group's step, at least least_step. NaN stays NaN, and a step that is none makes its group
// NaN. Of one bit y = s or -s, by x's sign, 0 being positive (XNOR-Net: Rastegari et al. 2016; with learned scales:
// Bulat, Tzimiropoulos 2019).
// x: floating, of grid.rows x grid.cols elements, steps: (parameters) of x's dtype, y: as x; bits: 1 .. 8
inline constexpr float least_step = 0x1p-23f;
void fake_quantize_by(const Tensor& x, const Tensor& steps, const QuantizationGrid& grid, unsigned bits,
                      const Tensor& y);
// dx = dy where round(x / s) is a level, 0 where it was clamped. Of one bit s dy where -1 <= x <= 1, else 0.
void fake_quantize_by_input_gradient(const Tensor& dy, const Tensor& x, const Tensor& steps,
                                     const QuantizationGrid& grid, unsigned bits, const Destination& dx);
// Of a step that n elements share: the sum of dy (level - x / s), or of dy level where it was clamped (equation 3),
// with the step's sign and times 1 / sqrt(n (2^(bits-1) - 1)) (section 2.2). Of one bit the sum of dy times x's sign,
// with the step's sign and times 1 / sqrt(n).  dsteps: as steps
void fake_quantize_by_step_gradient(const Tensor& dy, const Tensor& x, const Tensor& steps,
                                    const QuantizationGrid& grid, unsigned bits, const Destination& dsteps);

// range = {least, greatest} of x; both NaN if x has a value that is not finite.  range: (2) float32
void range_of(const Tensor& x, const Tensor& range);

}  // namespace tranche::ops
