#include "runtime/ops/kernels/pruning.h"

#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/pruning.h"
#include "runtime/ops/pruning.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

using functors::key_of;

void zero_where(Device& device, const ZeroWhere& a) {
  with_type(a.values.dtype, [&](auto type) {
    using T = decltype(type);
    over_elements(device, a.size, [&](std::size_t first, std::size_t count) {
      const float* pruned = a.pruned + first;
      T* values = a.values.as<T>() + first;
      Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { values[i] = pruned[i] != 0 ? T{} : values[i]; });
    });
  });
}

// Each tile counts by itself; integers add up the same in any order.
void count_keys(Device& device, const CountKeys& a) {
  over_elements(device, a.size, [&](std::size_t first, std::size_t count) {
    std::uint64_t counts[key_digits] = {};
    for (std::size_t i = first; i < first + count; ++i) {
      const std::uint64_t key = key_of(a.order, a.values[i], a.pruned[i]);
      if (key >> (a.shift + key_digit_bits) == a.prefix) ++counts[key >> a.shift & (key_digits - 1)];
    }
    for (std::size_t digit = 0; digit < key_digits; ++digit)
      if (counts[digit] != 0) __atomic_fetch_add(&a.counts[digit], counts[digit], __ATOMIC_RELAXED);
  });
}

void below(Device&, const PruneBelow& a) {
  std::uint64_t ties = a.ties;
  for (std::size_t i = 0; i < a.size; ++i) {
    const std::uint32_t key = key_of(a.order, a.values[i], a.pruned[i]);
    const bool tie = key == a.threshold && ties > 0;
    if (tie) --ties;
    if (key < a.threshold || tie) a.pruned[i] = 1;
  }
}

void smallest(Device& device, const PruneSmallest& a) {
  over_rows(device, a.groups, a.of, [&](std::size_t group) {
    const float* values = a.values + group * a.of;
    float* pruned = a.pruned + group * a.of;
    std::uint32_t keys[64];
    for (std::size_t i = 0; i < a.of; ++i) keys[i] = key_of(a.order, values[i], pruned[i]);
    for (std::size_t i = 0; i < a.of; ++i) {
      std::size_t before = 0;  // elements that are to be pruned before this one
      for (std::size_t j = 0; j < a.of; ++j) before += keys[j] < keys[i] || (keys[j] == keys[i] && j < i) ? 1 : 0;
      if (before < a.count) pruned[i] = 1;
    }
  });
}

void movement(Device& device, const AddMovement& a) {
  over_elements(device, a.size, [&](std::size_t first, std::size_t count) {
    const float *weights = a.weights + first, *gradient = a.gradient + first;
    float* scores = a.scores + first;
    Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
      scores[i] = functors::moved(scores[i], a.rate, weights[i], gradient[i]);
    });
  });
}

void penalty(Device& device, const AddPenalty& a) {
  over_elements(device, a.size, [&](std::size_t first, std::size_t count) {
    const float* weights = a.weights + first;
    float* gradient = a.gradient + first;
    Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
      gradient[i] = functors::penalised(gradient[i], a.l1, a.l2, weights[i]);
    });
  });
}

}  // namespace

PruningKernels pruning_kernels();
PruningKernels pruning_kernels() {
  return {.zero_where = zero_where,
          .count_keys = count_keys,
          .below = below,
          .smallest = smallest,
          .movement = movement,
          .penalty = penalty};
}

}  // namespace tranche::ops::TRANCHE_PATH
