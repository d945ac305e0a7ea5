#include "runtime/ops/kernels/quantize.h"
#include "runtime/ops/cpu/levels.h"
#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/functor.h"

namespace tranche::ops::TRANCHE_PATH {

template <class Q>
TRANCHE_INLINE void quantize_piece(const float* x, float scale, float zero, float low, float high, Q* q,
                                   std::size_t count) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i)
    q[i] = static_cast<Q>(static_cast<std::int32_t>(to_nearest(clamped(x[i] / scale, low - zero, high - zero)) + zero));
}

template <class Q>
TRANCHE_INLINE void dequantize_piece(const Q* q, float scale, std::int32_t zero, float* x, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(std::int32_t{q[i]} - zero) * scale;
}

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

template <class Work> TRANCHE_INLINE void with_quantized_type(DType dtype, const Work& work) {
  if (dtype == DType::int8)
    work(std::int8_t{});
  else
    work(std::uint8_t{});
}

void quantize(Device& device, const Quantize& a) {
  with_quantized_type(a.q.dtype, [&](auto type) {
    using Q = decltype(type);
    over_grid(device, a.grid, [&](std::size_t parameter, std::size_t first, std::size_t count) {
      const float zero = a.zeros != nullptr ? static_cast<float>(a.zeros[parameter]) : 0.0f;
      quantize_piece(a.x + first, a.scales[parameter], zero, static_cast<float>(a.levels.low),
                     static_cast<float>(a.levels.high), a.q.as<Q>() + first, count);
    });
  });
}

void dequantize(Device& device, const Dequantize& a) {
  with_quantized_type(a.q.dtype, [&](auto type) {
    using Q = decltype(type);
    over_grid(device, a.grid, [&](std::size_t parameter, std::size_t first, std::size_t count) {
      dequantize_piece(a.q.as<const Q>() + first, a.scales[parameter], a.zeros != nullptr ? a.zeros[parameter] : 0,
                       a.x + first, count);
    });
  });
}

void quantize_row(const float* x, std::uint8_t* q, float& scale, std::int32_t& zero, std::size_t cols,
                  std::size_t stride) {
  const float high = larger(Block{}.max(cols, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return x[i]; }), 0.0f);
  const float low = -larger(Block{}.max(cols, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return -x[i]; }), 0.0f);
  // A maximum passes over NaN; a sum of products with 0 does not.
  const float poison = Block{}.sum(cols, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return x[i] * 0.0f; });
  const float span = (high - low) / 255.0f;
  scale = span + poison;
  zero = 0;
  const bool finite = scale - scale == 0.0f;
  for (std::size_t i = finite && span > 0 ? cols : 0; i < stride; ++i) q[i] = 0;
  if (!finite || span == 0) return;
  const float first = to_nearest(clamped(-low / span, 0.0f, 255.0f));
  zero = static_cast<std::int32_t>(first);
  quantize_piece(x, span, first, 0.0f, 255.0f, q, cols);
}

void quantize_rows(Device& device, const QuantizeRows& a) {
  over_rows(device, a.rows, a.cols, [&](std::size_t row) {
    quantize_row(a.x + row * a.cols, a.q + row * a.stride, a.scales[row], a.zeros[row], a.cols, a.stride);
  });
}

void quantize_rows_with(Device& device, const QuantizeRowsWith& a) {
  const QuantizeRows& rows = a.rows;
  over_rows(device, rows.rows, rows.cols, [&](std::size_t row) {
    const float* x = rows.x + row * rows.cols;
    std::uint8_t* q = rows.q + row * rows.stride;
    quantize_piece(x, a.scale, static_cast<float>(a.zero), 0.0f, 255.0f, q, rows.cols);
    for (std::size_t i = rows.cols; i < rows.stride; ++i) q[i] = 0;
    rows.scales[row] =
        a.scale + Block{}.sum(rows.cols, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return x[i] * 0.0f; });
    rows.zeros[row] = a.zero;
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
