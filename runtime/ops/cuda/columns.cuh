// Sums over the rows of a matrix, as on the CPU (runtime/ops/cpu/norm.cpp): rows one after another within blocks of 64,
// then the blocks' sums one after another.
#pragma once

#include <algorithm>

#include "runtime/device/device.h"
#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/workspace.h"

namespace tranche::ops::cuda {

template <class Term>
__global__ void row_blocks_kernel(std::size_t rows, std::size_t width, Term term, float* partial) {
  const std::size_t column = thread_of_grid(), first = blockIdx.y * block_rows;
  if (column >= width) return;
  float sum = 0;
  for (std::size_t row = first; row < rows && row < first + block_rows; ++row) sum += term(row, column);
  partial[blockIdx.y * width + column] = sum;
}

template <bool adds, class T> struct AddBlocks {
  const float* partial;
  std::size_t blocks, width;
  T* target;
  __device__ void operator()(std::size_t column) const {
    float sum = 0;
    for (std::size_t b = 0; b < blocks; ++b) sum += partial[b * width + column];
    functors::put<adds>(target[column], sum);
  }
};

// target[column] = the sum over rows of term(row, column)
template <bool adds, class T, class Term>
void sum_rows(Device& device, std::size_t rows, std::size_t width, T* target, const Term& term) {
  if (width == 0) return;
  const std::size_t blocks = pieces_of(rows, block_rows);
  const Buffer scratch = row_sums_workspace(device, rows, width);
  float* partial = reinterpret_cast<float*>(scratch.data());
  if (blocks != 0)
    TRANCHE_LAUNCH(row_blocks_kernel<Term>, dim3(blocks_of(width, element_threads), static_cast<unsigned>(blocks)),
                   element_threads, stream_of(device), rows, width, term, partial);
  over_elements(device, width, AddBlocks<adds, T>{partial, blocks, width, target});
}

}  // namespace tranche::ops::cuda
