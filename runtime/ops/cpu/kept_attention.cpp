// Attention of a few new tokens over keys and values that were kept.
#include "runtime/ops/cpu/scratch.h"
#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/functor.h"
#include "runtime/ops/functors/math.h"
#include "runtime/ops/kernels/attention.h"

namespace tranche::ops::TRANCHE_PATH {

template <class T> TRANCHE_INLINE void widen(const T* from, float* to, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i) to[i] = to_float(from[i]);
}

// One head's queries.  scores: room for past + sequence, query and sums for head_width
template <class T>
TRANCHE_INLINE void attend(const AttentionOverKept& a, std::size_t head, float* scores, float* query, float* sums) {
  const AttentionShape& s = a.shape;
  const std::size_t group = head / (s.heads / s.groups), width = s.head_width;
  const float* keys = a.keys + group * a.capacity * width;
  const float* values = a.values + group * a.capacity * width;
  for (std::size_t i = 0; i < s.sequence; ++i) {
    const std::size_t count = a.past + i + 1;
    widen(a.qkv.as<const T>() + i * s.qkv_width() + head * width, query, width);
    for (std::size_t j = 0; j < count; ++j) {
      const float* key = keys + j * width;
      scores[j] = s.scale * Block{}.sum(width, [&](std::size_t c) TRANCHE_ALWAYS_INLINE { return query[c] * key[c]; });
    }
    const float most = Block{}.max(count, [&](std::size_t j) TRANCHE_ALWAYS_INLINE { return scores[j]; });
    Block{}.each(count, [&](std::size_t j) TRANCHE_ALWAYS_INLINE { scores[j] = functors::exp(scores[j] - most); });
    const float total = Block{}.sum(count, [&](std::size_t j) TRANCHE_ALWAYS_INLINE { return scores[j]; });
    for (std::size_t c = 0; c < width; ++c) sums[c] = 0;
    for (std::size_t j = 0; j < count; ++j) {
      const float weight = scores[j];
      const float* value = values + j * width;
#pragma GCC ivdep
      for (std::size_t c = 0; c < width; ++c) sums[c] += weight * value[c];
    }
    T* y = a.y.as<T>() + i * s.width() + head * width;
    for (std::size_t c = 0; c < width; ++c) y[c] = from_float<T>(sums[c] / total);
  }
}

void keep(Device&, const KeepKeysAndValues& a);
void keep(Device&, const KeepKeysAndValues& a) {
  const AttentionShape& s = a.shape;
  with_type(a.qkv.dtype, [&](auto type) {
    for (std::size_t i = 0; i < s.sequence; ++i) {
      const auto* keys = a.qkv.as<const decltype(type)>() + i * s.qkv_width() + s.width();
      const auto* values = keys + s.groups * s.head_width;
      for (std::size_t group = 0; group < s.groups; ++group) {
        const std::size_t at = (group * a.capacity + a.past + i) * s.head_width;
        widen(keys + group * s.head_width, a.keys + at, s.head_width);
        widen(values + group * s.head_width, a.values + at, s.head_width);
      }
    }
  });
}

void over_kept(Device& device, const AttentionOverKept& a);
void over_kept(Device& device, const AttentionOverKept& a) {
  with_type(a.qkv.dtype, [&](auto type) {
    in_pieces(device, a.shape.heads, 1, [&](std::size_t head, std::size_t) {
      const std::size_t room = a.past + a.shape.sequence + 2 * a.shape.head_width;
      auto* scores = static_cast<float*>(scratch(Scratch::attention, room * sizeof(float)));
      float* query = scores + a.past + a.shape.sequence;
      attend<decltype(type)>(a, head, scores, query, query + a.shape.head_width);
    });
  });
}

}  // namespace tranche::ops::TRANCHE_PATH
