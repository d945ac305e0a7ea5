#include "runtime/ops/fake_quantize.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {

void fake_quantize(const Tensor& x, const QuantizationGrid& grid, FakeForm form, unsigned bits, const Tensor& y,
                   const Tensor& scales) {
  constexpr std::string_view op = "fake_quantize";
  check_floating(op, "x", x);
  check_same(op, "y", y, x);
  check(grid.group > 0 || grid.cols == 0, op, ": a group has no elements");
  check_size(op, "x", x, grid.rows * grid.cols);
  check(bits >= 1 && bits <= 8, op, ": ", bits, " bits, expected 1 to 8");
  if (scales) check_array(op, "scales", scales, DType::float32, grid.parameters(), x);
  kernels_of(x.device())
      .fake_quantize.groups(x.device(), {.x = elements_of(x),
                                         .y = elements_of(y),
                                         .scales = elements_of(scales).as<float>(),
                                         .grid = grid,
                                         .form = form,
                                         .bits = bits});
}

void fake_quantize_with(float scale, std::int32_t zero, Levels levels, const Tensor& x, const Tensor& y) {
  constexpr std::string_view op = "fake_quantize_with";
  check_floating(op, "x", x);
  check_same(op, "y", y, x);
  check(scale > 0 && levels.low < levels.high, op, ": scale ", scale, ", levels ", levels.low, " to ", levels.high);
  kernels_of(x.device())
      .fake_quantize.with(x.device(), {elements_of(x), elements_of(y), x.size(), scale, zero, levels});
}

namespace {

// What the three of them check; returns the kernels of x's device.
const FakeQuantizeKernels& checked_steps(std::string_view op, const Tensor& x, const Tensor& steps,
                                         const QuantizationGrid& grid, unsigned bits) {
  check_floating(op, "x", x);
  check(grid.group > 0 || grid.cols == 0, op, ": a group has no elements");
  check_size(op, "x", x, grid.rows * grid.cols);
  check_array(op, "steps", steps, x.dtype(), grid.parameters(), x);
  check(bits >= 1 && bits <= 8, op, ": ", bits, " bits, expected 1 to 8");
  return kernels_of(x.device()).fake_quantize;
}

}  // namespace

void fake_quantize_by(const Tensor& x, const Tensor& steps, const QuantizationGrid& grid, unsigned bits,
                      const Tensor& y) {
  constexpr std::string_view op = "fake_quantize_by";
  const FakeQuantizeKernels& kernels = checked_steps(op, x, steps, grid, bits);
  check_same(op, "y", y, x);
  kernels.by(x.device(), {elements_of(x), elements_of(steps), elements_of(y), grid, bits});
}

void fake_quantize_by_input_gradient(const Tensor& dy, const Tensor& x, const Tensor& steps,
                                     const QuantizationGrid& grid, unsigned bits, const Destination& dx) {
  if (!dx) return;
  constexpr std::string_view op = "fake_quantize_by_input_gradient";
  const FakeQuantizeKernels& kernels = checked_steps(op, x, steps, grid, bits);
  check_same(op, "dy", dy, x);
  check_same(op, "dx", dx.tensor, x);
  kernels.by_input_gradient(x.device(),
                            {elements_of(dy), elements_of(x), elements_of(steps), target_of(dx), grid, bits});
}

void fake_quantize_by_step_gradient(const Tensor& dy, const Tensor& x, const Tensor& steps,
                                    const QuantizationGrid& grid, unsigned bits, const Destination& dsteps) {
  if (!dsteps) return;
  constexpr std::string_view op = "fake_quantize_by_step_gradient";
  const FakeQuantizeKernels& kernels = checked_steps(op, x, steps, grid, bits);
  check_same(op, "dy", dy, x);
  check_same(op, "dsteps", dsteps.tensor, steps);
  kernels.by_step_gradient(x.device(),
                           {elements_of(dy), elements_of(x), elements_of(steps), target_of(dsteps), grid, bits});
}

void range_of(const Tensor& x, const Tensor& range) {
  constexpr std::string_view op = "range_of";
  check_floating(op, "x", x);
  check_array(op, "range", range, DType::float32, 2, x);
  kernels_of(x.device()).fake_quantize.range(x.device(), {elements_of(x), x.size(), elements_of(range).as<float>()});
}

}  // namespace tranche::ops
