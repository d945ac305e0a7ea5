#include "runtime/ops/quantize.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {
namespace {

void check_grid(std::string_view op, const Tensor& x, const Tensor& scales, const Tensor& zeros,
                const QuantizationGrid& grid) {
  check(grid.group > 0 || grid.cols == 0, op, ": a group has no elements");
  check_size(op, "matrix", x, grid.rows * grid.cols);
  check_array(op, "scales", scales, DType::float32, grid.parameters(), x);
  if (zeros) check_array(op, "zeros", zeros, DType::int32, grid.parameters(), x);
}

void check_quantized(std::string_view op, const Tensor& q) {
  check(q.dtype() == DType::int8 || q.dtype() == DType::uint8, op, ": q is ", name_of(q.dtype()),
        ", expected int8 or uint8");
}

QuantizeRows checked_rows(std::string_view op, const Tensor& x, const Tensor& q, const Tensor& scales,
                          const Tensor& zeros) {
  check_dtype(op, "x", x, DType::float32);
  check_dtype(op, "q", q, DType::uint8);
  check_device(op, "q", q, x);
  check(q.rows() == x.rows() && q.cols() >= x.cols(), op, ": q has shape ", q.shape(), ", x ", x.shape());
  check_array(op, "scales", scales, DType::float32, x.rows(), x);
  check_array(op, "zeros", zeros, DType::int32, x.rows(), x);
  return {.x = elements_of(x).as<const float>(),
          .q = elements_of(q).as<std::uint8_t>(),
          .scales = elements_of(scales).as<float>(),
          .zeros = elements_of(zeros).as<std::int32_t>(),
          .rows = x.rows(),
          .cols = x.cols(),
          .stride = q.cols()};
}

const std::int32_t* zeros_of(const Tensor& zeros) { return elements_of(zeros).as<const std::int32_t>(); }

}  // namespace

void quantize(const Tensor& x, const Tensor& scales, const Tensor& zeros, const QuantizationGrid& grid, Levels levels,
              const Tensor& q) {
  constexpr std::string_view op = "quantize";
  check_dtype(op, "x", x, DType::float32);
  check_grid(op, x, scales, zeros, grid);
  check_quantized(op, q);
  check_device(op, "q", q, x);
  check_size(op, "q", q, x.size());
  const Levels all = q.dtype() == DType::int8 ? Levels{-128, 127} : Levels{0, 255};
  check(all.low <= levels.low && levels.low < levels.high && levels.high <= all.high, op, ": levels ", levels.low,
        " to ", levels.high, " do not fit ", name_of(q.dtype()));
  kernels_of(x.device())
      .quantize.quantize(x.device(), {.x = elements_of(x).as<const float>(),
                                      .scales = elements_of(scales).as<const float>(),
                                      .zeros = zeros_of(zeros),
                                      .q = elements_of(q),
                                      .grid = grid,
                                      .levels = levels});
}

void dequantize(const Tensor& q, const Tensor& scales, const Tensor& zeros, const QuantizationGrid& grid,
                const Tensor& x) {
  constexpr std::string_view op = "dequantize";
  check_quantized(op, q);
  check_grid(op, q, scales, zeros, grid);
  check_array(op, "x", x, DType::float32, q.size(), q);
  kernels_of(q.device())
      .quantize.dequantize(q.device(), {.q = elements_of(q),
                                        .scales = elements_of(scales).as<const float>(),
                                        .zeros = zeros_of(zeros),
                                        .x = elements_of(x).as<float>(),
                                        .grid = grid});
}

void quantize_rows(const Tensor& x, const Tensor& q, const Tensor& scales, const Tensor& zeros) {
  const QuantizeRows rows = checked_rows("quantize_rows", x, q, scales, zeros);
  kernels_of(x.device()).quantize.quantize_rows(x.device(), rows);
}

void quantize_rows_with(float scale, std::int32_t zero, const Tensor& x, const Tensor& q, const Tensor& scales,
                        const Tensor& zeros) {
  const QuantizeRows rows = checked_rows("quantize_rows_with", x, q, scales, zeros);
  check(scale > 0 && zero >= 0 && zero <= 255, "quantize_rows_with: scale ", scale, ", zero ", zero);
  kernels_of(x.device()).quantize.quantize_rows_with(x.device(), {rows, scale, zero});
}

}  // namespace tranche::ops
