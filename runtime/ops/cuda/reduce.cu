#include "runtime/ops/cuda/first.cuh"
#include "runtime/ops/cuda/table.h"
#include "runtime/ops/functors/finite.h"
#include "runtime/ops/reduce.h"
#include "runtime/ops/workspace.h"

namespace tranche::ops::cuda {

inline constexpr unsigned sum_lanes = 16;
static_assert(warp_size % sum_lanes == 0 && ops::block % sum_lanes == 0 && element_threads % warp_size == 0);

// One pass over the gradient: a non-finite value shows in its block's sum. As the CPU's Block adds: element i in lane
// i % 16, and then one half of the lanes to the other. So a norm has the same bits wherever its gradients lie.
__global__ void square_sums_kernel(ScaleAndSumSquares a) {
  const std::size_t thread = thread_of_grid(), b = thread / sum_lanes;
  double sum = 0;
  if (b < a.blocks) {
    float* values = a.gradient + b * ops::block;
    for (std::size_t i = thread % sum_lanes; i < ops::block; i += sum_lanes) {
      const float scaled = values[i] * a.factor;
      if (a.factor != 1.0f) values[i] = scaled;
      sum += double{scaled} * double{scaled};
    }
  }
  for (unsigned by = sum_lanes / 2; by != 0; by /= 2) sum += __shfl_xor_sync(all_lanes, sum, static_cast<int>(by));
  if (b < a.blocks && thread % sum_lanes == 0) a.partials[b] = sum;
}
void scale_and_sum_squares(Device& device, const ScaleAndSumSquares& a) {
  if (a.blocks == 0) return;
  const Buffer scratch = square_sums_workspace(device, a.blocks);
  ScaleAndSumSquares there = a;
  there.partials = reinterpret_cast<double*>(scratch.data());
  TRANCHE_LAUNCH(square_sums_kernel, blocks_of(a.blocks * sum_lanes, element_threads), element_threads,
                 stream_of(device), there);
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
