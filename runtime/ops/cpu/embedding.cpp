#include "runtime/ops/kernels/embedding.h"

#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/workspace.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

using functors::put;

std::size_t first_outside(Device&, const FirstOutside& a) {
  const auto outside = [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const bool inside = a.indices[i] >= 0 && static_cast<std::size_t>(a.indices[i]) < a.limit;
    return !inside && a.indices[i] != a.also;
  };
  std::size_t i = 0;
  while (i < a.count && !outside(i)) ++i;
  return i;
}

void forward(Device& device, const EmbeddingForward& a) {
  const std::size_t row_bytes = a.width * bytes_of(a.table.dtype);
  over_rows(device, a.count, a.width, [&](std::size_t i) {
    __builtin_memcpy(a.y.data + i * row_bytes, a.table.data + static_cast<std::size_t>(a.tokens[i]) * row_bytes,
                     row_bytes);
  });
}

void positions(Device&, const Positions& a) {
  for (std::size_t row = 0; row < a.rows; ++row)
    for (std::size_t i = 0; i < a.sequence; ++i)
      a.numbers[row * a.sequence + i] = static_cast<std::int32_t>(a.first + i);
}

// For each token of the table, the places where it stands, in rising order: a linked list through `next`.
struct Places {
  std::int32_t *first, *next;  // -1: none

  void find(const EmbeddingGradient& a) const {
    __builtin_memset(first, 0xFF, a.vocabulary * sizeof *first);
    for (std::size_t i = a.count; i-- > 0;) {
      next[i] = first[a.tokens[i]];
      first[a.tokens[i]] = static_cast<std::int32_t>(i);
    }
  }
};

template <bool adds, class T> void gradient_row(const EmbeddingGradient& a, const Places& places, std::size_t token) {
  constexpr std::size_t piece = 1024;
  T* row = a.dtable.as<T>() + token * a.width;
  if (places.first[token] < 0) {
    if constexpr (!adds) __builtin_memset(static_cast<void*>(row), 0, a.width * sizeof(T));
    return;
  }
  for (std::size_t column = 0; column < a.width; column += piece) {
    const std::size_t count = a.width - column < piece ? a.width - column : piece;
    alignas(64) float sum[piece];
    for (std::int32_t i = places.first[token]; i >= 0; i = places.next[i]) {
      const T* dy = a.dy.as<const T>() + static_cast<std::size_t>(i) * a.width + column;
      if (i == places.first[token])
        Block{}.each(count, [&](std::size_t c) TRANCHE_ALWAYS_INLINE { sum[c] = to_float(dy[c]); });
      else
        Block{}.each(count, [&](std::size_t c) TRANCHE_ALWAYS_INLINE { sum[c] += to_float(dy[c]); });
    }
    Block{}.each(count, [&](std::size_t c) TRANCHE_ALWAYS_INLINE { put<adds>(row[column + c], sum[c]); });
  }
}

void gradient(Device& device, const EmbeddingGradient& a) {
  const Buffer scratch = places_workspace(device, a.vocabulary, a.count);
  std::int32_t* lists = reinterpret_cast<std::int32_t*>(scratch.data());
  const Places places{lists, lists + a.vocabulary};
  places.find(a);
  with_target(a.dtable, [&](auto type, auto mode) {
    over_rows(device, a.vocabulary, a.width,
              [&](std::size_t token) { gradient_row<mode.adds, decltype(type)>(a, places, token); });
  });
}

}  // namespace

EmbeddingKernels embedding_kernels();
EmbeddingKernels embedding_kernels() {
  return {.first_outside = first_outside, .forward = forward, .positions = positions, .gradient = gradient};
}

}  // namespace tranche::ops::TRANCHE_PATH
