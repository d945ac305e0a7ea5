// The gradient of attention, with the weights computed again from the log-sum-exp of each row (Dao et al. 2022).
//
// One thread takes a group of one sequence: its keys and values, and all query heads that share them. So every sum has
// one owner: a query's gradient goes over the keys in order, a key's over the heads and then over the queries in order.
#include "runtime/ops/cpu/attention_tiles.h"
#include "runtime/ops/cpu/tiles.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

// Rows are `stride` apart: the head's width, rounded up to whole lanes.
struct Group {
  std::size_t width, stride;
  float *keys, *values, *dkeys, *dvalues;  // (sequence, stride)
};

// 64 queries of one head. Transposed ones are (width, side).
struct Queries {
  std::size_t first, count;
  float *rows, *dy, *drows;  // (count, stride); rows hold the scale
  float *rows_transposed, *dy_transposed;
  alignas(64) float log_sums[side], deltas[side];
};

// weights: what the values were multiplied with. dscores: the gradient of the scores. (keys, queries), `side` apart.
void compute_weights(const WeightDropout& dropout, const Strip& strip, const Queries& q, bool diagonal,
                     std::size_t first_key, float* weights, float* dscores) {
  const std::size_t queries = whole_lanes(q.count);
  alignas(64) float factors[side * side];
  if (diagonal) hide_future(strip, weights, minus_infinity);
  if (dropout.probability > 0) strip_factors(dropout, strip, queries, q.first, first_key, factors);
  for (std::size_t key = strip.first_key; key < strip.first_key + strip.keys; ++key) {
    float *w = weights + key * side, *d = dscores + key * side;
    const float* factor = factors + key * side;
    if (dropout.probability > 0) {
#pragma GCC ivdep
      for (std::size_t i = strip.first_query; i < queries; ++i) {
        const float weight = functors::exp(w[i] - q.log_sums[i]);
        w[i] = weight * factor[i];
        d[i] = weight * (d[i] * factor[i] - q.deltas[i]);
      }
    } else {
#pragma GCC ivdep
      for (std::size_t i = strip.first_query; i < queries; ++i) {
        w[i] = functors::exp(w[i] - q.log_sums[i]);
        d[i] = w[i] * (d[i] - q.deltas[i]);
      }
    }
  }
}

void add_tile(const WeightDropout& dropout, const Group& g, const Queries& q, std::size_t first_key) {
  const bool diagonal = first_key == q.first;
  const std::size_t queries = whole_lanes(q.count);
  alignas(64) float weights[side * side], dscores[side * side];
  clear(weights, side * side);
  clear(dscores, side * side);
  in_strips(diagonal, diagonal ? q.count : side, [&](const Strip& s) {
    const std::size_t key = (first_key + s.first_key) * g.stride, corner = s.first_key * side + s.first_query;
    add_product(s.keys, queries - s.first_query, g.width, {g.keys + key, g.stride, 1},
                {q.rows_transposed + s.first_query, side}, {weights + corner, side});
    add_product(s.keys, queries - s.first_query, g.width, {g.values + key, g.stride, 1},
                {q.dy_transposed + s.first_query, side}, {dscores + corner, side});
    compute_weights(dropout, s, q, diagonal, first_key, weights, dscores);
    const std::size_t counted = q.count - s.first_query;
    add_product(s.keys, g.stride, counted, {weights + corner, side, 1}, {q.dy + s.first_query * g.stride, g.stride},
                {g.dvalues + key, g.stride});
    add_product(s.keys, g.stride, counted, {dscores + corner, side, 1}, {q.rows + s.first_query * g.stride, g.stride},
                {g.dkeys + key, g.stride});
    add_product(counted, g.stride, s.keys, {dscores + corner, 1, side}, {g.keys + key, g.stride},
                {q.drows + s.first_query * g.stride, g.stride});
  });
}

// delta = dy . y, which is also the sum over the keys of weight times its gradient, dropout included.
template <class T> float row_delta(const float* dy, const T* y, std::size_t width) {
  return Block{}.sum(width, [&](std::size_t c) TRANCHE_ALWAYS_INLINE { return dy[c] * to_float(y[c]); });
}

template <bool adds, class T>
void put_rows(const float* from, std::size_t from_stride, std::size_t rows, std::size_t width, float factor, T* to,
              std::size_t stride) {
  for (std::size_t row = 0; row < rows; ++row, from += from_stride, to += stride)
    for (std::size_t c = 0; c < width; ++c) functors::put<adds>(to[c], from[c] * factor);
}

template <class T, bool adds> void group_gradient(const AttentionGradient& op, std::size_t batch, std::size_t group) {
  const AttentionShape& s = op.shape;
  const std::size_t width = s.head_width, padded = whole_lanes(width), shared = s.heads / s.groups;
  const std::size_t stride = s.qkv_width(), first_row = batch * s.sequence;
  const T* qkv = op.qkv.as<const T>() + first_row * stride;
  T* dqkv = op.dqkv.as<T>() + first_row * stride;

  Pieces memory{4 * s.sequence * padded + 5 * side * padded};
  const auto take = [&](std::size_t rows) { return memory.take(rows * padded); };
  const Group g{width, padded, take(s.sequence), take(s.sequence), take(s.sequence), take(s.sequence)};
  Queries q{.first = 0,
            .count = 0,
            .rows = take(side),
            .dy = take(side),
            .drows = take(side),
            .rows_transposed = take(side),
            .dy_transposed = take(side),
            .log_sums = {},
            .deltas = {}};
  const std::size_t key_column = (s.heads + group) * width, value_column = key_column + s.groups * width;
  copy_rows(qkv + key_column, stride, s.sequence, width, 1, g.keys, padded);
  copy_rows(qkv + value_column, stride, s.sequence, width, 1, g.values, padded);
  clear(g.dkeys, s.sequence * padded);
  clear(g.dvalues, s.sequence * padded);

  for (std::size_t head = group * shared; head < (group + 1) * shared; ++head) {
    const WeightDropout dropout{op.dropout, s, batch, head};
    for (q.first = 0; q.first < s.sequence; q.first += side) {
      q.count = least(side, s.sequence - q.first);
      const std::size_t y_first = (first_row + q.first) * s.width() + head * width;
      const float* log_sums = op.log_sums.as<const float>() + (batch * s.heads + head) * s.sequence + q.first;
      copy_rows(qkv + q.first * stride + head * width, stride, q.count, width, s.scale, q.rows, padded);
      copy_rows(op.dy.as<const T>() + y_first, s.width(), q.count, width, 1, q.dy, padded);
      into_lanes(q.rows, padded, q.count, width, q.rows_transposed);
      into_lanes(q.dy, padded, q.count, width, q.dy_transposed);
      clear(q.drows, q.count * padded);
      for (std::size_t i = 0; i < q.count; ++i) {
        q.log_sums[i] = log_sums[i];
        q.deltas[i] = row_delta(q.dy + i * padded, op.y.as<const T>() + y_first + i * s.width(), width);
      }
      for (std::size_t first_key = 0; first_key <= q.first; first_key += side) add_tile(dropout, g, q, first_key);
      put_rows<adds>(q.drows, padded, q.count, width, s.scale, dqkv + q.first * stride + head * width, stride);
    }
  }
  put_rows<adds>(g.dkeys, padded, s.sequence, width, 1, dqkv + key_column, stride);
  put_rows<adds>(g.dvalues, padded, s.sequence, width, 1, dqkv + value_column, stride);
}

}  // namespace

void attention_gradient(Device& device, const AttentionGradient& op);
void attention_gradient(Device& device, const AttentionGradient& op) {
  pool_of(device).run(op.shape.batch * op.shape.groups, [&](std::size_t i) {
    with_target(op.dqkv, [&](auto type, auto how) {
      group_gradient<decltype(type), decltype(how)::adds>(op, i / op.shape.groups, i % op.shape.groups);
    });
  });
}

}  // namespace tranche::ops::TRANCHE_PATH
