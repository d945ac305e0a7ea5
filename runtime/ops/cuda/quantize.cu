#include "runtime/ops/functors/quantize.h"

#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

// The number of an element's scale.
__device__ inline std::size_t parameter_of(const QuantizationGrid& grid, std::size_t i) {
  return i / grid.cols * grid.groups() + i % grid.cols / grid.group;
}

template <class Q> struct QuantizeElement {
  Quantize a;
  __device__ void operator()(std::size_t i) const {
    const std::size_t parameter = parameter_of(a.grid, i);
    const float zero = a.zeros != nullptr ? static_cast<float>(a.zeros[parameter]) : 0.0f;
    a.q.as<Q>()[i] = static_cast<Q>(functors::quantized(
        a.x[i], a.scales[parameter], zero, static_cast<float>(a.levels.low), static_cast<float>(a.levels.high)));
  }
};
void quantize(Device& device, const Quantize& a) {
  with_quantized_type(a.q.dtype, [&](auto type) {
    over_elements(device, a.grid.rows * a.grid.cols, QuantizeElement<decltype(type)>{a});
  });
}

template <class Q> struct DequantizeElement {
  Dequantize a;
  __device__ void operator()(std::size_t i) const {
    const std::size_t parameter = parameter_of(a.grid, i);
    a.x[i] =
        functors::dequantized(a.q.as<const Q>()[i], a.scales[parameter], a.zeros != nullptr ? a.zeros[parameter] : 0);
  }
};
void dequantize(Device& device, const Dequantize& a) {
  with_quantized_type(a.q.dtype, [&](auto type) {
    over_elements(device, a.grid.rows * a.grid.cols, DequantizeElement<decltype(type)>{a});
  });
}

struct QuantizeRow {
  QuantizeRows a;
  __device__ void operator()(const Block& block, std::size_t row) const {
    functors::quantize_row(block, a.cols, a.stride, a.x + row * a.cols, a.q + row * a.stride, a.scales + row,
                           a.zeros + row);
  }
};
void quantize_rows(Device& device, const QuantizeRows& a) { over_rows(device, a.rows, a.cols, QuantizeRow{a}); }

struct QuantizeRowWith {
  QuantizeRowsWith a;
  __device__ void operator()(const Block& block, std::size_t row) const {
    const QuantizeRows& rows = a.rows;
    functors::quantize_row_with(block, rows.cols, rows.stride, rows.x + row * rows.cols, a.scale, a.zero,
                                rows.q + row * rows.stride, rows.scales + row, rows.zeros + row);
  }
};
void quantize_rows_with(Device& device, const QuantizeRowsWith& a) {
  over_rows(device, a.rows.rows, a.rows.cols, QuantizeRowWith{a});
}

QuantizeKernels quantize_kernels() {
  return {.quantize = quantize,
          .dequantize = dequantize,
          .quantize_rows = quantize_rows,
          .quantize_rows_with = quantize_rows_with};
}

}  // namespace tranche::ops::cuda
