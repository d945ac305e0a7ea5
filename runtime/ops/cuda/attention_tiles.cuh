// What attention and its gradient share: products of tiles of 32 rows by 32, by a thread block of eight warps. A warp
// owns four of the rows; what they meet, 32 others, goes over its lanes. A sum belongs to one thread and goes in order.
#pragma once

#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/functors/random.h"
#include "runtime/ops/kernels/attention.h"

namespace tranche::ops::cuda {

inline constexpr unsigned side = warp_size, owned_rows = 4, attention_threads = side / owned_rows * warp_size;
// Columns of a result that a thread block computes: a wider head takes several, each with the scores computed anew.
inline constexpr unsigned lane_columns = 4;
inline constexpr std::size_t columns_together = lane_columns * warp_size;

__device__ inline unsigned lane() { return threadIdx.x % warp_size; }
__device__ inline unsigned first_owned() { return threadIdx.x / warp_size * owned_rows; }

// Rows of one head: `count` <= side of them, `stride` apart.
template <class T> struct Rows {
  const T* data;
  std::size_t stride, count;
  __device__ float at(std::size_t row, std::size_t column) const { return to_float(data[row * stride + column]); }
};
template <class T> __device__ Rows<T> rows_from(const T* data, std::size_t stride, std::size_t first, std::size_t end) {
  return {data + first * stride, stride, end - first < side ? end - first : side};
}

// Columns begin .. begin + count of a head's width.
struct Columns {
  std::size_t begin, count;
};
__device__ inline Columns columns_of(std::size_t width, std::size_t piece) {
  const std::size_t begin = piece * columns_together, left = width - begin;
  return {begin, left < columns_together ? left : columns_together};
}

// dots[r] = owned row r of `rows` times row lane() of `others`; 0 where there is no such row. All threads call it.
template <class T, class U>
__device__ void take_dots(const Rows<T>& rows, const Rows<U>& others, std::size_t width, float (&dots)[owned_rows]) {
  constexpr unsigned apart = side + 1;  // so that lanes read other banks
  TRANCHE_SHARED(float, row_tile, side* side);
  TRANCHE_SHARED(float, other_tile, side* apart);
  for (unsigned r = 0; r < owned_rows; ++r) dots[r] = 0;
  for (std::size_t begin = 0; begin < width; begin += side) {
    const unsigned count = width - begin < side ? static_cast<unsigned>(width - begin) : side;
    __syncthreads();  // after the reads before
    for (unsigned i = threadIdx.x; i < side * side; i += attention_threads) {
      const unsigned row = i / side, c = i % side;
      row_tile[i] = row < rows.count && c < count ? rows.at(row, begin + c) : 0.0f;
      other_tile[row * apart + c] = row < others.count && c < count ? others.at(row, begin + c) : 0.0f;
    }
    __syncthreads();
    for (unsigned c = 0; c < count; ++c) {
      const float other = other_tile[lane() * apart + c];
      for (unsigned r = 0; r < owned_rows; ++r)
        dots[r] = TRANCHE_FUSED(row_tile[(first_owned() + r) * side + c], other, dots[r]);
    }
  }
}

// sums[r][j] += the sum over `others` of weights (side, side) of owned row r times their column lane() + j * warp_size.
// weights: shared; all threads have written their owned rows' own. All threads call it.
template <class T>
__device__ void add_products(const float* weights, const Rows<T>& others, const Columns& columns,
                             float (&sums)[owned_rows][lane_columns]) {
  TRANCHE_SHARED(float, tile, side* columns_together);
  __syncthreads();  // after the reads before
  for (std::size_t i = threadIdx.x; i < others.count * columns_together; i += attention_threads) {
    const std::size_t row = i / columns_together, c = i % columns_together;
    if (c < columns.count) tile[i] = others.at(row, columns.begin + c);
  }
  __syncthreads();
  for (unsigned k = 0; k < others.count; ++k) {
    float weight[owned_rows];
    for (unsigned r = 0; r < owned_rows; ++r) weight[r] = weights[(first_owned() + r) * side + k];
    for (unsigned j = 0; j < lane_columns; ++j) {
      const unsigned c = lane() + j * warp_size;
      if (c >= columns.count) break;
      const float other = tile[k * columns_together + c];
      for (unsigned r = 0; r < owned_rows; ++r) sums[r][j] = TRANCHE_FUSED(weight[r], other, sums[r][j]);
    }
  }
}

// work(row, column, sum) for what this thread owns of a tile of `rows` rows.
template <class Work>
__device__ void each_owned(std::size_t rows, const Columns& columns, const float (&sums)[owned_rows][lane_columns],
                           const Work& work) {
  for (unsigned r = 0; r < owned_rows; ++r)
    for (unsigned j = 0; j < lane_columns; ++j)
      if (const unsigned row = first_owned() + r, c = lane() + j * warp_size; row < rows && c < columns.count)
        work(std::size_t{row}, columns.begin + c, sums[r][j]);
}

// See AttentionDropout.
struct WeightDropout {
  std::uint64_t key;
  float probability;
  explicit WeightDropout(const AttentionDropout& dropout) : key(dropout.key.bits()), probability(dropout.probability) {}

  // What a weight is multiplied with. head: batch * heads + head
  __device__ float factor(const AttentionShape& shape, std::size_t head, std::size_t query, std::size_t at_key) const {
    if (probability == 0) return 1;
    const std::uint64_t element = (std::uint64_t{head} * shape.sequence + query) * shape.sequence + at_key;
    std::uint32_t words[4][1];
    functors::philox_groups(key, element / 4, words);
    const std::uint32_t low = element % 2 == 0 ? words[0][0] : words[1][0];
    const std::uint32_t high = element % 2 == 0 ? words[2][0] : words[3][0];
    return functors::kept(element % 4 < 2 ? low : high, probability) ? 1.0f / (1.0f - probability) : 0.0f;
  }
};

}  // namespace tranche::ops::cuda
