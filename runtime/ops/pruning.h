// Which elements of owned state are the smallest, what becomes of those that are pruned, and what helps to choose them.
// Keys are integers: an element's key is 0 once it is pruned, else 1 + bits that order as magnitudes or values do.
// Counts of parts add up to the counts of the whole, so that a threshold found by its digits is exact on any number of
// ranks.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/tensor/tensor.h"

namespace tranche::ops {

// By what elements are the smallest. Of values -0 is as large as 0, and NaN comes last or first, as its sign says.
enum class KeyOrder : std::uint8_t { magnitude, value };

inline constexpr unsigned key_digit_bits = 8;
inline constexpr std::size_t key_digits = std::size_t{1} << key_digit_bits;  // values of a digit

// values = 0 where pruned is not 0.  pruned: float32, values: floating, as many
void zero_where(const Tensor& pruned, const Tensor& values);

// counts[d] += how many keys, shifted right by shift + 8 bits, are `prefix` and have d as their next eight bits.
// values, pruned: float32, as many; shift: 24, 16, 8 or 0; counts: key_digits
void count_keys(const Tensor& values, const Tensor& pruned, KeyOrder order, std::uint32_t prefix, unsigned shift,
                std::span<std::uint64_t> counts);

// pruned = 1 where the key is below the threshold, and at the first `ties` elements whose key is the threshold.
void prune_below(const Tensor& values, const Tensor& pruned, KeyOrder order, std::uint32_t threshold,
                 std::uint64_t ties);

// pruned = 1 at the `count` smallest keys of each `of` elements, one group after another; of equal ones the first.
// values: a multiple of `of` elements, of <= 64, count <= of
void prune_smallest(const Tensor& values, const Tensor& pruned, KeyOrder order, std::size_t of, std::size_t count);

// scores -= rate weight gradient: how far an update of plain gradient descent takes each weight from zero, summed over
// updates (Sanh et al. 2020, equation 4).  all float32, as many
void add_movement(float rate, const Tensor& weights, const Tensor& gradient, const Tensor& scores);

// gradient += l1 sign(weight) + l2 weight, what is 0 having no sign.  both float32, as many
void add_penalty(float l1, float l2, const Tensor& weights, const Tensor& gradient);

}  // namespace tranche::ops
