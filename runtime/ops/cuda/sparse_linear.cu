// Products with weights without their zeros: each output's chain of products and sums as on the CPU.
#include "runtime/ops/functors/sparse_linear.h"

#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

inline constexpr std::size_t outputs_of_block = SparseShape::block;
// A thread block goes over a block of the weight, a piece of so many columns at a time, of which each thread has one.
inline constexpr unsigned columns_in_piece = 128;

struct PlacesOfBlock {
  FindPlaces a;
  __device__ void operator()(const Block& block, std::size_t b) const {
    std::uint16_t* places = a.weight.places + b * a.weight.shape.in;
    block.each(a.weight.shape.in,
               [&](std::size_t col) { places[col] = functors::places_of(a.weight.shape, a.dense, b, col); });
    const std::size_t count =
        block.sum(a.weight.shape.in, [&](std::size_t col) { return std::size_t{functors::count_of(places[col])}; });
    block.single([&] { a.weight.starts[b] = count; });
  }
};
// From counts to where each block begins.
struct AddUp {
  std::uint64_t* starts;
  std::size_t blocks;
  __device__ void operator()(std::size_t) const {
    std::uint64_t sum = 0;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::uint64_t count = starts[b];
      starts[b] = sum;
      sum += count;
    }
    starts[blocks] = sum;
  }
};
void find(Device& device, const FindPlaces& a) {
  over_rows(device, a.weight.shape.blocks(), a.weight.shape.in, PlacesOfBlock{a});
  over_elements(device, 1, AddUp{a.weight.starts, a.weight.shape.blocks()});
}

// see(column, its places, where its values begin) by all threads for every piece of a block; beyond the last column
// there are no places.
template <class See> __device__ void over_columns(const SparseElements& weight, std::size_t block, const See& see) {
  TRANCHE_SHARED(unsigned, counts, columns_in_piece);
  std::uint64_t next = weight.starts[block];
  for (std::size_t begin = 0; begin < weight.shape.in; begin += columns_in_piece) {
    const std::size_t col = begin + threadIdx.x;
    const unsigned places = col < weight.shape.in ? weight.places[block * weight.shape.in + col] : 0u;
    __syncthreads();  // after what the piece before reads
    counts[threadIdx.x] = functors::count_of(places);
    __syncthreads();
    unsigned before = 0, all = 0;
    for (unsigned thread = 0; thread < columns_in_piece; ++thread) {
      const unsigned count = counts[thread];
      if (thread < threadIdx.x) before += count;
      all += count;
    }
    see(col, places, next + before);
    next += all;
  }
}

__global__ void store_kernel(StoreValues a) {
  const std::size_t block = blockIdx.x, in = a.weight.shape.in;
  over_columns(a.weight, block, [&](std::size_t col, unsigned places, std::uint64_t at) {
    for (std::size_t row = 0; row < outputs_of_block; ++row)
      if (functors::has(places, row)) a.weight.values[at++] = a.dense[(block * outputs_of_block + row) * in + col];
  });
}
__global__ void expand_kernel(SparseExpansion a) {
  const std::size_t block = blockIdx.x, in = a.weight.shape.in;
  const std::size_t rows = functors::rows_of_block(a.weight.shape, block);
  over_columns(a.weight, block, [&](std::size_t col, unsigned places, std::uint64_t at) {
    if (col >= in) return;
    for (std::size_t row = 0; row < rows; ++row)
      a.dense[(block * outputs_of_block + row) * in + col] = functors::has(places, row) ? a.weight.values[at++] : 0.0f;
  });
}
__global__ void rows_kernel(SparseRows a) {
  const auto number = static_cast<std::size_t>(a.numbers[blockIdx.x]);
  const std::size_t row = number % outputs_of_block, in = a.table.shape.in;
  float* y = a.y + blockIdx.x * in;
  over_columns(a.table, number / outputs_of_block, [&](std::size_t col, unsigned places, std::uint64_t at) {
    if (col < in) y[col] = functors::has(places, row) ? a.table.values[at + functors::count_before(places, row)] : 0.0f;
  });
}
void store(Device& device, const StoreValues& a) {
  const auto blocks = static_cast<unsigned>(a.weight.shape.blocks());
  if (blocks != 0) TRANCHE_LAUNCH(store_kernel, blocks, columns_in_piece, stream_of(device), a);
}
void expand(Device& device, const SparseExpansion& a) {
  const auto blocks = static_cast<unsigned>(a.weight.shape.blocks());
  if (blocks != 0) TRANCHE_LAUNCH(expand_kernel, blocks, columns_in_piece, stream_of(device), a);
}
void sparse_rows(Device& device, const SparseRows& a) {
  if (a.count != 0) TRANCHE_LAUNCH(rows_kernel, static_cast<unsigned>(a.count), columns_in_piece, stream_of(device), a);
}

// The piece's weights lie whole in shared memory; thread (row, output) adds them up. One more than sixteen from column
// to column, so that threads write to different banks.
inline constexpr std::size_t rows_together = columns_in_piece / outputs_of_block, column_stride = outputs_of_block + 1;

__global__ void sparse_product_kernel(SparseProduct a) {
  TRANCHE_SHARED(float, weights, columns_in_piece* column_stride);
  TRANCHE_SHARED(float, inputs, columns_in_piece* rows_together);
  const SparseShape& shape = a.weight.shape;
  const std::size_t block = blockIdx.x, first = blockIdx.y * rows_together;
  const std::size_t mine = threadIdx.x / outputs_of_block, output = threadIdx.x % outputs_of_block;
  float sum = 0;
  over_columns(a.weight, block, [&](std::size_t col, unsigned places, std::uint64_t at) {
    for (std::size_t row = 0; row < outputs_of_block; ++row)
      weights[threadIdx.x * column_stride + row] = functors::has(places, row) ? a.weight.values[at++] : 0.0f;
    for (std::size_t row = 0; row < rows_together; ++row)
      inputs[row * columns_in_piece + threadIdx.x] =
          col < shape.in && first + row < a.rows ? a.x[(first + row) * shape.in + col] : 0.0f;
    __syncthreads();
    const std::size_t left = shape.in - (col - threadIdx.x), count = left < columns_in_piece ? left : columns_in_piece;
    for (std::size_t k = 0; k < count; ++k)
      sum += weights[k * column_stride + output] * inputs[mine * columns_in_piece + k];
  });
  if (first + mine >= a.rows || output >= functors::rows_of_block(shape, block)) return;
  const std::size_t at = block * outputs_of_block + output;
  a.y[(first + mine) * shape.out + at] = a.bias != nullptr ? sum + a.bias[at] : sum;
}
void product(Device& device, const SparseProduct& a) {
  const dim3 grid(static_cast<unsigned>(a.weight.shape.blocks()),
                  static_cast<unsigned>(pieces_of(a.rows, rows_together)));
  if (grid.x != 0 && grid.y != 0) TRANCHE_LAUNCH(sparse_product_kernel, grid, columns_in_piece, stream_of(device), a);
}

SparseKernels sparse_kernels() {
  return {.find = find, .store = store, .product = product, .expand = expand, .rows = sparse_rows};
}

}  // namespace tranche::ops::cuda
