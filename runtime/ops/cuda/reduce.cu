#include "runtime/ops/cuda/first.cuh"
#include "runtime/ops/cuda/table.h"
#include "runtime/ops/functors/finite.h"
#include "runtime/ops/reduce.h"

namespace tranche::ops::cuda {

// One pass over the gradient: a non-finite value shows in its block's sum.
struct ScaleBlock {
  float* gradient;
  float factor;
  double* partials;
  __device__ void operator()(const Block& threads, std::size_t b) const {
    float* values = gradient + b * ops::block;
    const double sum = threads.sum(ops::block, [&](std::size_t i) {
      const float scaled = values[i] * factor;
      if (factor != 1.0f) values[i] = scaled;
      return double{scaled} * double{scaled};
    });
    threads.single([&] { partials[b] = sum; });
  }
};
void scale_and_sum_squares(Device& device, const ScaleAndSumSquares& a) {
  if (a.blocks == 0) return;
  const std::size_t bytes = a.blocks * sizeof(double);
  const Buffer scratch = device.allocate(bytes, Category::workspace, "scale_and_sum_squares' sums of blocks");
  over_rows(device, a.blocks, ops::block, ScaleBlock{a.gradient, a.factor, reinterpret_cast<double*>(scratch.data())});
  device.read(scratch.data(), std::as_writable_bytes(std::span{a.partials, a.blocks}));
}

// On the host, where the values are.
double add_in_order(Device&, const AddInOrder& a) {
  double sum = a.sum;
  const double* row = a.rows.values;
  for (std::size_t left = a.rows.total; left != 0; row += a.rows.stride) {
    const std::size_t count = a.rows.count < left ? a.rows.count : left;
    for (std::size_t i = 0; i < count; ++i) sum += row[i];
    left -= count;
  }
  return sum;
}

template <class T> struct IsNonFinite {
  const T* x;
  __device__ bool operator()(std::size_t i) const { return functors::non_finite(x[i]); }
};
std::size_t first_non_finite(Device& device, const FirstNonFinite& a) {
  std::size_t found = 0;
  with_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    found = first_where(device, a.size, IsNonFinite<T>{a.x.as<const T>()});
  });
  return found;
}

ReduceKernels reduce_kernels() {
  return {.scale_and_sum_squares = scale_and_sum_squares,
          .add_in_order = add_in_order,
          .first_non_finite = first_non_finite};
}

}  // namespace tranche::ops::cuda
