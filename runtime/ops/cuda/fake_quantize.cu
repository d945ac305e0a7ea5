#include "runtime/ops/functors/fake_quantize.h"

#include "runtime/device/device.h"
#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

using functors::put;

// A thread block for each group.
template <class T> struct FakeQuantizeGroup {
  FakeQuantize a;
  __device__ void operator()(const Block& block, std::size_t number) const {
    const std::size_t groups = a.grid.groups(), begin = number % groups * a.grid.group;
    const std::size_t left = a.grid.cols - begin, first = number / groups * a.grid.cols + begin;
    const float scale = functors::fake_quantized_group(block, a.form, a.bits, a.x.as<const T>() + first,
                                                       a.y.as<T>() + first, left < a.grid.group ? left : a.grid.group);
    if (a.scales != nullptr) block.single([&] { a.scales[number] = scale; });
  }
};
void groups(Device& device, const FakeQuantize& a) {
  with_type(a.x.dtype, [&](auto type) {
    const std::size_t width = a.grid.group < a.grid.cols ? a.grid.group : a.grid.cols;
    over_rows(device, a.grid.parameters(), width, FakeQuantizeGroup<decltype(type)>{a});
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

FakeQuantizeKernels fake_quantize_kernels() { return {.groups = groups, .with = with, .range = range}; }

}  // namespace tranche::ops::cuda
