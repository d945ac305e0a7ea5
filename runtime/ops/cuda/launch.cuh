// How kernels over elements and rows are launched: Op is what one thread, or one block, does with one of them.
#pragma once

#include "runtime/base/round.h"
#include "runtime/ops/cuda/block.cuh"
#include "runtime/ops/kernels/dispatch.h"

namespace tranche {
class Device;
}

namespace tranche::ops::cuda {

cudaStream_t stream_of(Device& device);  // that computes

inline constexpr unsigned element_threads = 256;

inline unsigned blocks_of(std::size_t size, std::size_t piece) { return static_cast<unsigned>(pieces_of(size, piece)); }

__device__ inline std::size_t thread_of_grid() { return std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; }

// op(i) for i < size
template <class Op> __global__ void over_elements_kernel(std::size_t size, Op op) {
  const std::size_t i = thread_of_grid();
  if (i < size) op(i);
}
template <class Op> void over_elements(Device& device, std::size_t size, const Op& op) {
  if (size == 0) return;
  TRANCHE_LAUNCH(over_elements_kernel<Op>, blocks_of(size, element_threads), element_threads, stream_of(device), size,
                 op);
}

// op(block, row) for row < rows. The block's size, and with it the order of its sums, depends on the width alone.
inline unsigned row_threads(std::size_t width) {
  unsigned threads = 32;
  while (threads < 512 && threads * 4 < width) threads *= 2;
  return threads;
}
template <class Op> __global__ void over_rows_kernel(Op op) { op(Block{}, blockIdx.x); }
template <class Op> void over_rows(Device& device, std::size_t rows, std::size_t width, const Op& op) {
  if (rows == 0) return;
  TRANCHE_LAUNCH(over_rows_kernel<Op>, static_cast<unsigned>(rows), row_threads(width), stream_of(device), op);
}

}  // namespace tranche::ops::cuda
