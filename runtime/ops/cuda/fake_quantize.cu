#include "runtime/ops/functors/fake_quantize.h"

#include "runtime/device/device.h"
#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

using functors::put;

// Group `number` of a grid: a thread block computes it.
struct Group {
  std::size_t first, count;
};
__device__ Group group_at(const QuantizationGrid& grid, std::size_t number) {
  const std::size_t groups = grid.groups(), begin = number % groups * grid.group, left = grid.cols - begin;
  return {number / groups * grid.cols + begin, left < grid.group ? left : grid.group};
}
template <class Work> void over_groups(Device& device, const QuantizationGrid& grid, const Work& work) {
  over_rows(device, grid.parameters(), grid.group < grid.cols ? grid.group : grid.cols, work);
}

template <class T> struct FakeQuantizeGroup {
  FakeQuantize a;
  __device__ void operator()(const Block& block, std::size_t number) const {
    const Group at = group_at(a.grid, number);
    const float scale = functors::fake_quantized_group(block, a.form, a.bits, a.x.as<const T>() + at.first,
                                                       a.y.as<T>() + at.first, at.count);
    if (a.scales != nullptr) block.single([&] { a.scales[number] = scale; });
  }
};
void groups(Device& device, const FakeQuantize& a) {
  with_type(a.x.dtype, [&](auto type) { over_groups(device, a.grid, FakeQuantizeGroup<decltype(type)>{a}); });
}

template <class T> struct FakeQuantizeByGroup {
  FakeQuantizeBy a;
  __device__ void operator()(const Block& block, std::size_t number) const {
    const Group at = group_at(a.grid, number);
    functors::fake_quantized_by(block, to_float(a.steps.as<const T>()[number]), a.bits, a.x.as<const T>() + at.first,
                                a.y.as<T>() + at.first, at.count);
  }
};
void by(Device& device, const FakeQuantizeBy& a) {
  with_type(a.x.dtype, [&](auto type) { over_groups(device, a.grid, FakeQuantizeByGroup<decltype(type)>{a}); });
}

template <bool adds, class T> struct FakeQuantizeByInputGradient {
  FakeQuantizeByGradient a;
  __device__ void operator()(const Block& block, std::size_t number) const {
    const Group at = group_at(a.grid, number);
    functors::fake_quantized_by_input_gradient<adds>(block, to_float(a.steps.as<const T>()[number]), a.bits,
                                                     a.dy.as<const T>() + at.first, a.x.as<const T>() + at.first,
                                                     a.target.as<T>() + at.first, at.count);
  }
};
void by_input_gradient(Device& device, const FakeQuantizeByGradient& a) {
  with_target(a.target, [&](auto type, auto mode) {
    over_groups(device, a.grid, FakeQuantizeByInputGradient<decltype(mode)::adds, decltype(type)>{a});
  });
}

template <bool adds, class T> struct FakeQuantizeByStepGradient {
  FakeQuantizeByGradient a;
  __device__ void operator()(const Block& block, std::size_t number) const {
    const Group at = group_at(a.grid, number);
    const float gradient = functors::fake_quantized_by_step_gradient(block, to_float(a.steps.as<const T>()[number]),
                                                                     a.bits, a.dy.as<const T>() + at.first,
                                                                     a.x.as<const T>() + at.first, at.count);
    block.single([&] { put<adds>(a.target.as<T>()[number], gradient); });
  }
};
void by_step_gradient(Device& device, const FakeQuantizeByGradient& a) {
  with_target(a.target, [&](auto type, auto mode) {
    over_groups(device, a.grid, FakeQuantizeByStepGradient<decltype(mode)::adds, decltype(type)>{a});
  });
}

template <class T> struct FakeQuantizeElement {
  FakeQuantizeWith a;
  __device__ void operator()(std::size_t i) const {
    put<false>(a.y.as<T>()[i], functors::fake_quantized(to_float(a.x.as<const T>()[i]), a.scale, a.zero, a.levels));
  }
};
void with(Device& device, const FakeQuantizeWith& a) {
  with_type(a.x.dtype, [&](auto type) { over_elements(device, a.size, FakeQuantizeElement<decltype(type)>{a}); });
}

// Of pieces first, then of the pieces' ranges: poison is in both ends of one.
inline constexpr std::size_t range_piece = 16384;
template <class T> struct RangeOfPiece {
  RangeOf a;
  float *lows, *highs;
  __device__ void operator()(const Block& block, std::size_t piece) const {
    const std::size_t first = piece * range_piece, left = a.size - first,
                      count = left < range_piece ? left : range_piece;
    const T* x = a.x.as<const T>() + first;
    const float poison = functors::poison_of(block, x, count);
    const float low = functors::least(block, x, count) + poison, high = functors::greatest(block, x, count) + poison;
    block.single([&] { lows[piece] = low, highs[piece] = high; });
  }
};
struct RangeOfPieces {
  const float *lows, *highs;
  std::size_t pieces;
  float* range;
  __device__ void operator()(const Block& block, std::size_t) const {
    const float poison = functors::poison_of(block, lows, pieces);
    const float low = functors::least(block, lows, pieces) + poison;
    const float high = functors::greatest(block, highs, pieces) + poison;
    block.single([&] { range[0] = low, range[1] = high; });
  }
};
void range(Device& device, const RangeOf& a) {
  const std::size_t pieces = pieces_of(a.size, range_piece);
  const Buffer scratch = device.allocate(2 * pieces * sizeof(float), Category::workspace, "range_of's pieces");
  float* lows = reinterpret_cast<float*>(scratch.data());
  with_type(a.x.dtype, [&](auto type) {
    over_rows(device, pieces, range_piece, RangeOfPiece<decltype(type)>{a, lows, lows + pieces});
  });
  over_rows(device, 1, pieces, RangeOfPieces{lows, lows + pieces, pieces, a.range});
}

FakeQuantizeKernels fake_quantize_kernels() {
  return {.groups = groups,
          .with = with,
          .by = by,
          .by_input_gradient = by_input_gradient,
          .by_step_gradient = by_step_gradient,
          .range = range};
}

}  // namespace tranche::ops::cuda
