// Attention over tiles of 64 queries and 64 keys, with the softmax's maximum and sum kept while keys go by (Milakov,
// Gimelshein 2018, "Online normalizer calculation for softmax"). Queries are independent, so a thread takes some.
#include "runtime/ops/cpu/attention_tiles.h"
#include "runtime/ops/cpu/tiles.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

constexpr std::size_t tiles_together = 4;  // of queries, for which keys and values are copied once

// Of up to 64 queries, in lanes.
struct Running {
  float largest[side], sum[side];
};

// Turns scores into weights e^(score - largest), their sum into running.sum, and gives each query's factor for what was
// summed before with a smaller maximum.
void take_softmax(bool diagonal, std::size_t keys, std::size_t queries, float* scores, Running& running,
                  float* rescale) {
  float* largest = running.largest;
  float before[side];
  __builtin_memcpy(before, largest, sizeof before);
  in_strips(diagonal, keys, [&](const Strip& strip) TRANCHE_ALWAYS_INLINE {
    if (diagonal) hide_future(strip, scores, minus_infinity);
    for (std::size_t key = 0; key < strip.keys; ++key) {
      const float* row = scores + (strip.first_key + key) * side;
#pragma GCC ivdep
      for (std::size_t q = strip.first_query; q < queries; ++q) largest[q] = row[q] > largest[q] ? row[q] : largest[q];
    }
  });
  for (std::size_t q = 0; q < queries; ++q) {
    rescale[q] = functors::exp(before[q] - largest[q]);
    running.sum[q] *= rescale[q];
  }
  in_strips(diagonal, keys, [&](const Strip& strip) TRANCHE_ALWAYS_INLINE {
    for (std::size_t key = 0; key < strip.keys; ++key) {
      float* row = scores + (strip.first_key + key) * side;
#pragma GCC ivdep
      for (std::size_t q = strip.first_query; q < queries; ++q) {
        row[q] = functors::exp(row[q] - largest[q]);
        running.sum[q] += row[q];
      }
    }
  });
}

struct Head {
  const float* keys;  // (keys, head_width)
  const float* values;
  const AttentionForward& op;
  std::size_t batch, head;
};

// queries, sums: (head_width, side), both transposed. count: of the tile's queries; its keys are as many, and what lies
// behind them in memory is anything: a weight of zero does not undo a NaN.
void attend(const Head& h, std::size_t first_query, std::size_t count, float* scaled_queries, float* sums,
            Running& running) {
  const std::size_t width = h.op.shape.head_width, queries = whole_lanes(count);
  const WeightDropout dropout{h.op.dropout, h.op.shape, h.batch, h.head};
  alignas(64) float scores[side * side], factors[side * side], rescale[side];
  clear(sums, width * side);
  for (std::size_t q = 0; q < side; ++q) running.largest[q] = minus_infinity, running.sum[q] = 0;
  for (std::size_t first_key = 0; first_key <= first_query; first_key += side) {
    const bool diagonal = first_key == first_query;
    const std::size_t keys = diagonal ? count : side;
    clear(scores, side * side);
    in_strips(diagonal, keys, [&](const Strip& s) {
      add_product(s.keys, queries - s.first_query, width, {h.keys + (first_key + s.first_key) * width, width, 1},
                  {scaled_queries + s.first_query, side}, {scores + s.first_key * side + s.first_query, side});
    });
    take_softmax(diagonal, keys, queries, scores, running, rescale);
    for (std::size_t c = 0; c < width; ++c)
      for (std::size_t q = 0; q < queries; ++q) sums[c * side + q] *= rescale[q];
    in_strips(diagonal, keys, [&](const Strip& s) {
      if (dropout.probability > 0) {
        strip_factors(dropout, s, queries, first_query, first_key, factors);
        for (std::size_t key = s.first_key; key < s.first_key + s.keys; ++key)
          for (std::size_t q = s.first_query; q < queries; ++q) scores[key * side + q] *= factors[key * side + q];
      }
      add_product(width, queries - s.first_query, s.keys, {h.values + (first_key + s.first_key) * width, 1, width},
                  {scores + s.first_key * side + s.first_query, side}, {sums + s.first_query, side});
    });
  }
}

template <class T>
void forward_queries(const AttentionForward& op, std::size_t batch, std::size_t head, std::size_t first_tile) {
  const AttentionShape& s = op.shape;
  const std::size_t width = s.head_width, stride = s.qkv_width(), group = head / (s.heads / s.groups);
  const std::size_t begin = first_tile * side, end = least(s.sequence, begin + tiles_together * side);
  const T* qkv = op.qkv.as<const T>() + batch * s.sequence * stride;

  Pieces memory{2 * (end * width + lanes) + 3 * side * width};
  float* keys = memory.take(end * width);
  float* values = memory.take(end * width);
  float* rows = memory.take(side * width);
  float* queries = memory.take(side * width);
  float* sums = memory.take(side * width);
  copy_rows(qkv + (s.heads + group) * width, stride, end, width, 1, keys, width);
  copy_rows(qkv + (s.heads + s.groups + group) * width, stride, end, width, 1, values, width);

  for (std::size_t first = begin; first < end; first += side) {
    const std::size_t count = least(side, end - first);
    copy_rows(qkv + first * stride + head * width, stride, count, width, s.scale, rows, width);
    into_lanes(rows, width, count, width, queries);
    Running running;
    attend({keys, values, op, batch, head}, first, count, queries, sums, running);
    float* log_sums = op.log_sums.as<float>() + (batch * s.heads + head) * s.sequence + first;
    for (std::size_t q = 0; q < count; ++q) log_sums[q] = running.largest[q] + functors::log(running.sum[q]);
    T* y = op.y.as<T>() + (batch * s.sequence + first) * s.width() + head * width;
    transpose(sums, side, width, count, rows, width);
    for (std::size_t q = 0; q < count; ++q) {
      const float share = 1.0f / running.sum[q];
#pragma GCC ivdep
      for (std::size_t c = 0; c < width; ++c) y[q * s.width() + c] = from_float<T>(rows[q * width + c] * share);
    }
  }
}

void forward(Device& device, const AttentionForward& op) {
  const AttentionShape& s = op.shape;
  const std::size_t tiles = (s.sequence + side - 1) / side, parts = (tiles + tiles_together - 1) / tiles_together;
  pool_of(device).run(s.batch * s.heads * parts, [&](std::size_t i) {
    const std::size_t part = parts - 1 - i % parts, head = i / parts % s.heads, batch = i / parts / s.heads;
    with_type(op.qkv.dtype,
              [&](auto type) { forward_queries<decltype(type)>(op, batch, head, part * tiles_together); });
  });
}

}  // namespace

void attention_gradient(Device& device, const AttentionGradient& op);
void rotary(Device& device, const Rotary& op);
void rotary_gradient(Device& device, const RotaryGradient& op);
void keep(Device& device, const KeepKeysAndValues& op);
void over_kept(Device& device, const AttentionOverKept& op);

AttentionKernels attention_kernels();
AttentionKernels attention_kernels() {
  return {.forward = forward,
          .gradient = attention_gradient,
          .rotary = rotary,
          .rotary_gradient = rotary_gradient,
          .keep = keep,
          .over_kept = over_kept};
}

}  // namespace tranche::ops::TRANCHE_PATH
