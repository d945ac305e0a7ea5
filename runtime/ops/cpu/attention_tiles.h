// What attention and its gradient share.
//
// Scores are computed transposed: a row is a key, and the lanes are queries. Maxima and sums over the keys then go down
// the rows, with no sum across lanes, and the products need keys and values only one by one (runtime/ops/cpu/panel.h).
// A tile is 64 queries by 64 keys: Dao et al. 2022 ("FlashAttention"), Rabe, Staats 2021.
#pragma once

#include <utility>

#include "runtime/ops/cpu/panel.h"
#include "runtime/ops/cpu/scratch.h"
#include "runtime/ops/functors/random.h"
#include "runtime/ops/kernels/attention.h"

namespace tranche::ops::TRANCHE_PATH {

inline constexpr std::size_t side = 64;  // of a tile: queries, and keys
inline constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

TRANCHE_INLINE std::size_t whole_lanes(std::size_t count) { return (count + lanes - 1) / lanes * lanes; }
TRANCHE_INLINE std::size_t least(std::size_t a, std::size_t b) { return a < b ? a : b; }

// Keys first_key .. first_key + keys of a tile, which the queries from first_query on may look at.
struct Strip {
  std::size_t first_key, keys, first_query;
};

// A tile's keys in strips: one, or in the tile on the diagonal one for each 16 keys, which leaves out the queries
// before them. Calls work(strip) in the order of the keys.
template <class Work> TRANCHE_INLINE void in_strips(bool diagonal, std::size_t keys, const Work& work) {
  if (!diagonal) return work(Strip{0, keys, 0});
  for (std::size_t first = 0; first < keys; first += lanes) work(Strip{first, least(lanes, keys - first), first});
}

// In a strip on the diagonal: sets the scores of keys behind their query.
TRANCHE_INLINE void hide_future(const Strip& strip, float* scores, float value) {
  for (std::size_t key = 1; key < strip.keys; ++key)
    for (std::size_t query = 0; query < key; ++query)
      scores[(strip.first_key + key) * side + strip.first_query + query] = value;
}

// A piece of a thread's memory after another, each aligned to a cache line.
class Pieces {
 public:
  [[gnu::always_inline]] explicit Pieces(std::size_t floats)
      : next_(static_cast<float*>(scratch(Scratch::attention, floats * sizeof(float)))) {}
  [[gnu::always_inline]] float* take(std::size_t floats) {
    float* piece = next_;
    next_ += whole_lanes(floats);
    return piece;
  }

 private:
  float* next_;
};

TRANCHE_INLINE void clear(float* x, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = 0;
}

// Rows of one head, as float32 times `factor`: from `stride` apart to `to_stride` apart, the rest of a row zero.
template <class T>
TRANCHE_INLINE void copy_rows(const T* from, std::size_t stride, std::size_t rows, std::size_t width, float factor,
                              float* to, std::size_t to_stride) {
  for (std::size_t row = 0; row < rows; ++row, from += stride, to += to_stride) {
#pragma GCC ivdep
    for (std::size_t c = 0; c < width; ++c) to[c] = to_float(from[c]) * factor;
    for (std::size_t c = width; c < to_stride; ++c) to[c] = 0;
  }
}

typedef float Row __attribute__((vector_size(lanes * sizeof(float))));

// Exchanges the blocks beside the diagonal, of block x block, within each block of twice that.
template <std::size_t block, int... lane>
TRANCHE_INLINE void exchange_blocks(Row* rows, std::integer_sequence<int, lane...>) {
  constexpr int size = static_cast<int>(block), count = static_cast<int>(lanes);
#pragma GCC unroll 16
  for (std::size_t r = 0; r < lanes; ++r) {
    if ((r & block) != 0) continue;
    const Row a = rows[r], b = rows[r + block];
    rows[r] = __builtin_shufflevector(a, b, ((lane & size) == 0 ? lane : lane - size + count)...);
    rows[r + block] = __builtin_shufflevector(a, b, ((lane & size) == 0 ? lane + size : lane + count)...);
  }
}

// Of 16 x 16 floats.
TRANCHE_INLINE void transpose_square(const float* from, std::size_t stride, float* to, std::size_t to_stride) {
  constexpr std::make_integer_sequence<int, static_cast<int>(lanes)> each_lane{};
  Row rows[lanes];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < lanes; ++r) __builtin_memcpy(&rows[r], from + r * stride, sizeof(Row));
  exchange_blocks<8>(rows, each_lane);
  exchange_blocks<4>(rows, each_lane);
  exchange_blocks<2>(rows, each_lane);
  exchange_blocks<1>(rows, each_lane);
#pragma GCC unroll 16
  for (std::size_t r = 0; r < lanes; ++r) __builtin_memcpy(to + r * to_stride, &rows[r], sizeof(Row));
}

// to[c][r] = from[r][c]
TRANCHE_INLINE void transpose(const float* from, std::size_t stride, std::size_t rows, std::size_t cols, float* to,
                              std::size_t to_stride) {
  for (std::size_t row = 0; row < rows; row += lanes) {
    for (std::size_t col = 0; col < cols; col += lanes) {
      if (row + lanes <= rows && col + lanes <= cols) {
        transpose_square(from + row * stride + col, stride, to + col * to_stride + row, to_stride);
        continue;
      }
      for (std::size_t r = row; r < least(row + lanes, rows); ++r)
        for (std::size_t c = col; c < least(col + lanes, cols); ++c) to[c * to_stride + r] = from[r * stride + c];
    }
  }
}

// Queries into lanes: (count, width) to (width, side), with zeros up to whole lanes.
TRANCHE_INLINE void into_lanes(const float* rows, std::size_t stride, std::size_t count, std::size_t width, float* to) {
  transpose(rows, stride, count, width, to, side);
  for (std::size_t c = 0; c < width; ++c)
    for (std::size_t i = count; i < whole_lanes(count); ++i) to[c * side + i] = 0;
}

// The dropout of one head's weights; see AttentionDropout.
struct WeightDropout {
  std::uint64_t key, first, sequence;  // first: of the head's sequence x sequence elements
  float probability;

  [[gnu::always_inline]] WeightDropout(const AttentionDropout& dropout, const AttentionShape& shape, std::size_t batch,
                                       std::size_t head)
      : key(dropout.key.bits()),
        first((std::uint64_t{batch} * shape.heads + head) * shape.sequence * shape.sequence),
        sequence(shape.sequence),
        probability(dropout.probability) {}

  // factors[key][query], `side` apart: 1 / (1 - probability) or 0, for a strip's keys and the queries of one vector.
  // One call of Philox gives a query's numbers for four keys, or parts of two fours where the sequence is no multiple
  // of 4: row r of `numbers` then holds the key r - within.
  [[gnu::always_inline]] void factors(std::size_t first_query, std::size_t first_key, std::size_t keys,
                                      float* to) const {
    constexpr std::size_t together = 4;  // groups, whose chains of multiplications hide each other's latency
    const float scale = 1.0f / (1.0f - probability);
    std::uint64_t begin[lanes];
    std::uint32_t numbers[side + 4 * together][lanes], within[lanes];
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      begin[lane] = first + (first_query + lane) * sequence + first_key;
      within[lane] = static_cast<std::uint32_t>(begin[lane] % 4);
    }
    const bool aligned = sequence % 4 == 0;
    const std::size_t wanted = aligned ? keys : keys + 3;
    for (std::size_t row = 0; row < wanted; row += 4 * together) {
      std::uint32_t words[4][together * lanes];
      for (std::size_t g = 0; g < together; ++g) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          const std::uint64_t group = begin[lane] / 4 + row / 4 + g;
          words[0][g * lanes + lane] = static_cast<std::uint32_t>(group);
          words[1][g * lanes + lane] = static_cast<std::uint32_t>(group >> 32);
        }
      }
      functors::philox_of_counters(key, words);
      for (std::size_t g = 0; g < together; ++g)
        for (std::size_t w = 0; w < 4; ++w)
          __builtin_memcpy(numbers[row + 4 * g + w], words[w] + g * lanes, sizeof numbers[0]);
    }
    if (!aligned) {
      for (std::size_t row = 0; row < keys; ++row) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          const std::uint32_t low = within[lane] == 0 ? numbers[row][lane] : numbers[row + 1][lane];
          const std::uint32_t high = within[lane] == 2 ? numbers[row + 2][lane] : numbers[row + 3][lane];
          numbers[row][lane] = within[lane] < 2 ? low : high;
        }
      }
    }
    for (std::size_t row = 0; row < keys; ++row)
      for (std::size_t lane = 0; lane < lanes; ++lane)
        to[row * side + lane] = functors::kept(numbers[row][lane], probability) ? scale : 0.0f;
  }
};

// For a strip and the queries first_query .. first_query + queries (whole lanes) of a tile that begins at these
// numbers.
TRANCHE_INLINE void strip_factors(const WeightDropout& dropout, const Strip& strip, std::size_t queries,
                                  std::size_t tile_query, std::size_t tile_key, float* factors) {
  for (std::size_t q = strip.first_query; q < queries; q += lanes)
    dropout.factors(tile_query + q, tile_key + strip.first_key, strip.keys, factors + strip.first_key * side + q);
}

}  // namespace tranche::ops::TRANCHE_PATH
