// Which elements of owned state are the smallest, and what becomes of those that are pruned. All is integers: an
// element's key is 0 once it is pruned, else 1 + the bits of its magnitude, which order as magnitudes do. Counts of
// parts add up to the counts of the whole, so that a threshold found by its digits is exact on any number of ranks.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/tensor/tensor.h"

namespace tranche::ops {

inline constexpr unsigned key_digit_bits = 8;
inline constexpr std::size_t key_digits = std::size_t{1} << key_digit_bits;  // values of a digit

// values = 0 where pruned is not 0.  pruned: float32, values: floating, as many
void zero_where(const Tensor& pruned, const Tensor& values);

// counts[d] += how many keys, shifted right by shift + 8 bits, are `prefix` and have d as their next eight bits.
// values, pruned: float32, as many; shift: 24, 16, 8 or 0; counts: key_digits
void count_keys(const Tensor& values, const Tensor& pruned, std::uint32_t prefix, unsigned shift,
                std::span<std::uint64_t> counts);

// pruned = 1 where the key is below the threshold, and at the first `ties` elements whose key is the threshold.
void prune_below(const Tensor& values, const Tensor& pruned, std::uint32_t threshold, std::uint64_t ties);

// pruned = 1 at the `count` smallest keys of each `of` elements, one group after another; of equal ones the first.
// values: a multiple of `of` elements, of <= 64, count <= of
void prune_smallest(const Tensor& values, const Tensor& pruned, std::size_t of, std::size_t count);

}  // namespace tranche::ops
