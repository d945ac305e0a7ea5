#include "runtime/ops/kernels/quantize.h"
#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/quantize.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

// work(parameter, first, count) for every run of elements that share their scale, in pieces that threads take.
template <class Work> TRANCHE_INLINE void over_grid(Device& device, const QuantizationGrid& grid, const Work& work) {
  if (grid.rows == 1 && grid.group >= grid.cols) {
    over_elements(device, grid.cols, [&](std::size_t first, std::size_t count) { work(0, first, count); });
    return;
  }
  const std::size_t groups = grid.groups();
  over_rows(device, grid.rows, grid.cols, [&](std::size_t row) {
    for (std::size_t g = 0; g < groups; ++g) {
      const std::size_t first = g * grid.group, left = grid.cols - first;
      work(row * groups + g, row * grid.cols + first, left < grid.group ? left : grid.group);
    }
  });
}

void quantize(Device& device, const Quantize& a) {
  with_quantized_type(a.q.dtype, [&](auto type) {
    using Q = decltype(type);
    over_grid(device, a.grid, [&](std::size_t parameter, std::size_t first, std::size_t count) {
      const float zero = a.zeros != nullptr ? static_cast<float>(a.zeros[parameter]) : 0.0f;
      const float scale = a.scales[parameter];
      const auto low = static_cast<float>(a.levels.low), high = static_cast<float>(a.levels.high);
      const float* x = a.x + first;
      Q* q = a.q.as<Q>() + first;
      Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
        q[i] = static_cast<Q>(functors::quantized(x[i], scale, zero, low, high));
      });
    });
  });
}

void dequantize(Device& device, const Dequantize& a) {
  with_quantized_type(a.q.dtype, [&](auto type) {
    using Q = decltype(type);
    over_grid(device, a.grid, [&](std::size_t parameter, std::size_t first, std::size_t count) {
      const std::int32_t zero = a.zeros != nullptr ? a.zeros[parameter] : 0;
      const float scale = a.scales[parameter];
      const Q* q = a.q.as<const Q>() + first;
      float* x = a.x + first;
      Block{}.each(count,
                   [&](std::size_t i) TRANCHE_ALWAYS_INLINE { x[i] = functors::dequantized(q[i], scale, zero); });
    });
  });
}

void quantize_rows(Device& device, const QuantizeRows& a) {
  over_rows(device, a.rows, a.cols, [&](std::size_t row) {
    functors::quantize_row(Block{}, a.cols, a.stride, a.x + row * a.cols, a.q + row * a.stride, a.scales + row,
                           a.zeros + row);
  });
}

void quantize_rows_with(Device& device, const QuantizeRowsWith& a) {
  const QuantizeRows& rows = a.rows;
  over_rows(device, rows.rows, rows.cols, [&](std::size_t row) {
    functors::quantize_row_with(Block{}, rows.cols, rows.stride, rows.x + row * rows.cols, a.scale, a.zero,
                                rows.q + row * rows.stride, rows.scales + row, rows.zeros + row);
  });
}

}  // namespace

QuantizeKernels quantize_kernels();
QuantizeKernels quantize_kernels() {
  return {.quantize = quantize,
          .dequantize = dequantize,
          .quantize_rows = quantize_rows,
          .quantize_rows_with = quantize_rows_with};
}

}  // namespace tranche::ops::TRANCHE_PATH
