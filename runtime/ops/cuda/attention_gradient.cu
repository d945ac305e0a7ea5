// The gradient of attention, with the weights computed again from each row's log-sum-exp (Dao et al. 2022). One kernel
// owns tiles of queries, another tiles of keys with their values: each sum has one owner. A query's gradient goes over
// the keys in order; a key's over the heads that share it, and within a head over the queries, in order.
#include "runtime/ops/cuda/attention.h"
#include "runtime/ops/cuda/attention_tiles.cuh"

namespace tranche::ops::cuda {

// One head of one sequence.
template <class T> struct GradientHead {
  const T *queries, *keys, *values;  // qkv_width() apart
  const T *y, *dy;                   // width() apart
  const float* log_sums;             // (sequence)
  std::size_t number;                // batch * heads + head

  __device__ GradientHead(const AttentionGradient& a, std::size_t batch, std::size_t head) {
    const AttentionShape& s = a.shape;
    const T* qkv = a.qkv.as<const T>() + batch * s.sequence * s.qkv_width();
    const std::size_t at = batch * s.sequence * s.width() + head * s.head_width;
    queries = qkv + head * s.head_width;
    keys = qkv + (s.heads + head / (s.heads / s.groups)) * s.head_width;
    values = keys + s.groups * s.head_width;
    y = a.y.as<const T>() + at;
    dy = a.dy.as<const T>() + at;
    number = batch * s.heads + head;
    log_sums = a.log_sums.as<const float>() + number * s.sequence;
  }
};

// deltas[i] = dy . y of row i, which is also the sum over the keys of weight times its gradient, dropout included; for
// `side` rows, by all threads. Ready after the next barrier.
template <class T> __device__ void take_deltas(const Rows<T>& dy, const Rows<T>& y, std::size_t width, float* deltas) {
  for (unsigned r = 0; r < owned_rows; ++r) {
    const std::size_t row = first_owned() + r;
    float sum = 0;
    if (row < dy.count)
      for (std::size_t c = lane(); c < width; c += warp_size) sum = TRANCHE_FUSED(dy.at(row, c), y.at(row, c), sum);
    sum = combined_in_warp(sum, Sum{});
    if (lane() == 0) deltas[row] = sum;
  }
}

// A weight as forward computed it, what dropout multiplies it with, and the gradient of its score.
struct Weight {
  float value, factor, dscore;
  __device__ Weight(bool seen, float score, float dweight, float log_sum, float delta, float its_factor)
      : value(seen ? functors::exp(score - log_sum) : 0.0f),
        factor(its_factor),
        dscore(value * (dweight * factor - delta)) {}
};

template <bool adds, class T> __global__ void query_gradient_kernel(AttentionGradient a, WeightDropout dropout) {
  const AttentionShape& s = a.shape;
  const std::size_t tiles = pieces_of(s.sequence, side), number = blockIdx.x / tiles;
  const std::size_t first = (tiles - 1 - blockIdx.x % tiles) * side, batch = number / s.heads, head = number % s.heads;
  const GradientHead<T> h(a, batch, head);
  const Columns columns = columns_of(s.head_width, blockIdx.y);
  const Rows<T> queries = rows_from(h.queries, s.qkv_width(), first, s.sequence);
  const Rows<T> dy = rows_from(h.dy, s.width(), first, s.sequence);
  TRANCHE_SHARED(float, deltas, side);
  TRANCHE_SHARED(float, dscores, side* side);
  take_deltas(dy, rows_from(h.y, s.width(), first, s.sequence), s.head_width, deltas);
  float sums[owned_rows][lane_columns] = {};
  const std::size_t end = first + queries.count;
  for (std::size_t first_key = 0; first_key < end; first_key += side) {
    const Rows<T> keys = rows_from(h.keys, s.qkv_width(), first_key, end);
    float scores[owned_rows], dweights[owned_rows];
    take_dots(queries, keys, s.head_width, scores);
    take_dots(dy, rows_from(h.values, s.qkv_width(), first_key, end), s.head_width, dweights);
    for (unsigned r = 0; r < owned_rows; ++r) {
      const unsigned row = first_owned() + r;
      const std::size_t query = first + row, key = first_key + lane();
      const bool seen = row < queries.count && key <= query;
      const Weight weight(seen, s.scale * scores[r], dweights[r], seen ? h.log_sums[query] : 0.0f, deltas[row],
                          dropout.factor(s, number, query, key));
      dscores[row * side + lane()] = weight.dscore;
    }
    add_products(dscores, keys, columns, sums);
  }
  T* dqueries = a.dqkv.as<T>() + batch * s.sequence * s.qkv_width() + head * s.head_width;
  each_owned(queries.count, columns, sums, [&](std::size_t row, std::size_t column, float sum) {
    functors::put<adds>(dqueries[(first + row) * s.qkv_width() + column], s.scale * sum);
  });
}

template <bool adds, class T> __global__ void key_gradient_kernel(AttentionGradient a, WeightDropout dropout) {
  const AttentionShape& s = a.shape;
  const std::size_t tiles = pieces_of(s.sequence, side), number = blockIdx.x / tiles, shared = s.heads / s.groups;
  const std::size_t first = blockIdx.x % tiles * side, batch = number / s.groups, group = number % s.groups;
  const Columns columns = columns_of(s.head_width, blockIdx.y);
  TRANCHE_SHARED(float, deltas, side);
  TRANCHE_SHARED(float, weights, side* side);
  TRANCHE_SHARED(float, dscores, side* side);
  float dkeys[owned_rows][lane_columns] = {}, dvalues[owned_rows][lane_columns] = {};
  for (std::size_t head = group * shared; head < (group + 1) * shared; ++head) {
    const GradientHead<T> h(a, batch, head);
    const Rows<T> keys = rows_from(h.keys, s.qkv_width(), first, s.sequence);
    const Rows<T> values = rows_from(h.values, s.qkv_width(), first, s.sequence);
    for (std::size_t first_query = first; first_query < s.sequence; first_query += side) {
      const Rows<T> queries = rows_from(h.queries, s.qkv_width(), first_query, s.sequence);
      const Rows<T> dy = rows_from(h.dy, s.width(), first_query, s.sequence);
      const std::size_t query = first_query + lane();
      float scores[owned_rows], dweights[owned_rows];
      take_dots(keys, queries, s.head_width, scores);
      take_deltas(dy, rows_from(h.y, s.width(), first_query, s.sequence), s.head_width, deltas);
      take_dots(values, dy, s.head_width, dweights);
      const float log_sum = query < s.sequence ? h.log_sums[query] : 0.0f;
      for (unsigned r = 0; r < owned_rows; ++r) {
        const unsigned row = first_owned() + r;
        const std::size_t key = first + row;
        const Weight weight(query < s.sequence && key <= query, s.scale * scores[r], dweights[r], log_sum,
                            deltas[lane()], dropout.factor(s, h.number, query, key));
        weights[row * side + lane()] = weight.value * weight.factor;
        dscores[row * side + lane()] = weight.dscore;
      }
      add_products(weights, dy, columns, dvalues);
      add_products(dscores, queries, columns, dkeys);
    }
  }
  const std::size_t rows = s.sequence - first < side ? s.sequence - first : side;
  T* dkey = a.dqkv.as<T>() + (batch * s.sequence + first) * s.qkv_width() + (s.heads + group) * s.head_width;
  T* dvalue = dkey + s.groups * s.head_width;
  each_owned(rows, columns, dkeys, [&](std::size_t row, std::size_t column, float sum) {
    functors::put<adds>(dkey[row * s.qkv_width() + column], s.scale * sum);
  });
  each_owned(rows, columns, dvalues, [&](std::size_t row, std::size_t column, float sum) {
    functors::put<adds>(dvalue[row * s.qkv_width() + column], sum);
  });
}

void attention_gradient(Device& device, const AttentionGradient& a) {
  const AttentionShape& s = a.shape;
  const auto tiles = static_cast<unsigned>(s.batch * pieces_of(s.sequence, side));
  const unsigned pieces = blocks_of(s.head_width, columns_together);
  if (tiles == 0) return;
  with_target(a.dqkv, [&](auto type, auto mode) {
    constexpr bool adds = decltype(mode)::adds;
    using T = decltype(type);
    TRANCHE_LAUNCH((query_gradient_kernel<adds, T>), dim3(tiles * static_cast<unsigned>(s.heads), pieces),
                   attention_threads, stream_of(device), a, WeightDropout{a.dropout});
    TRANCHE_LAUNCH((key_gradient_kernel<adds, T>), dim3(tiles * static_cast<unsigned>(s.groups), pieces),
                   attention_threads, stream_of(device), a, WeightDropout{a.dropout});
  });
}

}  // namespace tranche::ops::cuda
