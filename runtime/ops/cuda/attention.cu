// Attention over tiles of 32 queries and 32 keys, with the softmax's maximum and sum kept while keys go by (Milakov,
// Gimelshein 2018; Dao et al. 2022). A thread block has one tile of queries of one head; no buffer is made.
#include <limits>

#include "runtime/ops/cuda/attention.h"
#include "runtime/ops/cuda/attention_tiles.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

// One head: queries first .. end stand at past + first .. past + end among the keys.
template <class T, class K> struct Head {
  const T* queries;
  std::size_t query_stride;
  const K *keys, *values;
  std::size_t key_stride, past;
};

// The softmax of four queries, in a warp; every lane knows it.
struct RunningSoftmax {
  float largest[owned_rows], sum[owned_rows];

  // Turns row r's score into its weight, and returns the factor of what was summed with a smaller maximum.
  __device__ float take(unsigned r, float& score) {
    constexpr float least = -std::numeric_limits<float>::infinity();
    const float before = largest[r];
    largest[r] = Largest{}(combined_in_warp(Largest{}(score, least), Largest{}), before);  // passes over NaN
    const float rescale = functors::exp(before - largest[r]);
    score = functors::exp(score - largest[r]);
    sum[r] = sum[r] * rescale + combined_in_warp(score, Sum{});
    return rescale;
  }
};

// work(row, column, y) for every result of a tile, and softmax as it ends. number: of the head, for dropout
template <class T, class K, class Work>
__device__ void attend(const Head<T, K>& h, const AttentionShape& s, const WeightDropout& dropout, std::size_t number,
                       std::size_t first, const Columns& columns, RunningSoftmax& softmax, const Work& work) {
  constexpr float minus_infinity = -std::numeric_limits<float>::infinity();
  TRANCHE_SHARED(float, weights, side* side);
  const Rows<T> queries = rows_from(h.queries, h.query_stride, first, s.sequence);
  float sums[owned_rows][lane_columns] = {};
  for (unsigned r = 0; r < owned_rows; ++r) softmax.largest[r] = minus_infinity, softmax.sum[r] = 0;
  const std::size_t end = h.past + first + queries.count;  // of the keys that one of the queries sees
  for (std::size_t first_key = 0; first_key < end; first_key += side) {
    float scores[owned_rows];
    take_dots(queries, rows_from(h.keys, h.key_stride, first_key, end), s.head_width, scores);
    for (unsigned r = 0; r < owned_rows; ++r) {
      const std::size_t query = first + first_owned() + r, key = first_key + lane();
      float weight = key <= h.past + query && key < end ? s.scale * scores[r] : minus_infinity;
      const float rescale = softmax.take(r, weight);
      for (float& sum : sums[r]) sum *= rescale;
      weights[(first_owned() + r) * side + lane()] = weight * dropout.factor(s, number, query, key);
    }
    add_products(weights, rows_from(h.values, h.key_stride, first_key, end), columns, sums);
  }
  for (unsigned r = 0; r < owned_rows; ++r) {
    const float share = 1.0f / softmax.sum[r];
    for (float& sum : sums[r]) sum *= share;
  }
  each_owned(queries.count, columns, sums,
             [&](std::size_t row, std::size_t column, float sum) { work(first + row, column, sum); });
}

// Blocks of the longest rows begin first.
template <class T> __global__ void attention_kernel(AttentionForward a, WeightDropout dropout) {
  const AttentionShape& s = a.shape;
  const std::size_t tiles = pieces_of(s.sequence, side), number = blockIdx.x / tiles;
  const std::size_t first = (tiles - 1 - blockIdx.x % tiles) * side, batch = number / s.heads, head = number % s.heads;
  const T* qkv = a.qkv.as<const T>() + batch * s.sequence * s.qkv_width();
  const T* keys = qkv + (s.heads + head / (s.heads / s.groups)) * s.head_width;
  T* y = a.y.as<T>() + batch * s.sequence * s.width() + head * s.head_width;
  RunningSoftmax softmax;
  attend(Head<T, T>{qkv + head * s.head_width, s.qkv_width(), keys, keys + s.groups * s.head_width, s.qkv_width(), 0},
         s, dropout, number, first, columns_of(s.head_width, blockIdx.y), softmax,
         [&](std::size_t query, std::size_t column, float value) {
           functors::put<false>(y[query * s.width() + column], value);
         });
  if (lane() != 0 || blockIdx.y != 0) return;
  for (unsigned r = 0; r < owned_rows; ++r)
    if (const std::size_t query = first + first_owned() + r; query < s.sequence)
      a.log_sums.as<float>()[number * s.sequence + query] = softmax.largest[r] + functors::log(softmax.sum[r]);
}

dim3 attention_grid(std::size_t heads, const AttentionShape& s) {
  return {static_cast<unsigned>(heads * pieces_of(s.sequence, side)), blocks_of(s.head_width, columns_together)};
}

void attention(Device& device, const AttentionForward& a) {
  const dim3 grid = attention_grid(a.shape.batch * a.shape.heads, a.shape);
  if (grid.x == 0) return;
  with_type(a.qkv.dtype, [&](auto type) {
    TRANCHE_LAUNCH(attention_kernel<decltype(type)>, grid, attention_threads, stream_of(device), a,
                   WeightDropout{a.dropout});
  });
}

template <class T> struct KeepElement {
  KeepKeysAndValues a;
  __device__ void operator()(std::size_t i) const {
    const AttentionShape& s = a.shape;
    const std::size_t kept = s.groups * s.head_width, token = i / kept, column = i % kept;
    const std::size_t at = (column / s.head_width * a.capacity + a.past + token) * s.head_width + column % s.head_width;
    const T* key = a.qkv.as<const T>() + token * s.qkv_width() + s.width() + column;
    a.keys[at] = to_float(key[0]);
    a.values[at] = to_float(key[kept]);
  }
};
void keep(Device& device, const KeepKeysAndValues& a) {
  with_type(a.qkv.dtype, [&](auto type) {
    over_elements(device, a.shape.sequence * a.shape.groups * a.shape.head_width, KeepElement<decltype(type)>{a});
  });
}

template <class T> __global__ void over_kept_kernel(AttentionOverKept a, WeightDropout none) {
  const AttentionShape& s = a.shape;
  const std::size_t tiles = pieces_of(s.sequence, side), head = blockIdx.x / tiles;
  const std::size_t kept = head / (s.heads / s.groups) * a.capacity * s.head_width;
  T* y = a.y.as<T>() + head * s.head_width;
  RunningSoftmax softmax;
  attend(Head<T, float>{a.qkv.as<const T>() + head * s.head_width, s.qkv_width(), a.keys + kept, a.values + kept,
                        s.head_width, a.past},
         s, none, head, blockIdx.x % tiles * side, columns_of(s.head_width, blockIdx.y), softmax,
         [&](std::size_t query, std::size_t column, float value) {
           functors::put<false>(y[query * s.width() + column], value);
         });
}
void over_kept(Device& device, const AttentionOverKept& a) {
  const dim3 grid = attention_grid(a.shape.heads, a.shape);
  if (grid.x == 0) return;
  with_type(a.qkv.dtype, [&](auto type) {
    TRANCHE_LAUNCH(over_kept_kernel<decltype(type)>, grid, attention_threads, stream_of(device), a,
                   WeightDropout{AttentionDropout{}});
  });
}

AttentionKernels attention_kernels() {
  return {.forward = attention,
          .gradient = attention_gradient,
          .rotary = rotary,
          .rotary_gradient = rotary_gradient,
          .keep = keep,
          .over_kept = over_kept};
}

}  // namespace tranche::ops::cuda
