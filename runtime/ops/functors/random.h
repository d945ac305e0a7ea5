// Philox and what is drawn from it, so that loops over groups of four numbers become vectors.
#pragma once

#include "runtime/base/random.h"
#include "runtime/ops/functors/math.h"

namespace tranche::ops::functors {

// RandomKey::group for `count` counters at once, round by round over all of them. In: words[0] and [1] hold the low and
// high halves of each group's number. Out: words[j][i] is word j of group i.
template <std::size_t count>
TRANCHE_FUNCTOR void philox_of_counters(std::uint64_t key, std::uint32_t (&words)[4][count]) {
  for (std::size_t i = 0; i < count; ++i) words[2][i] = words[3][i] = 0;
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * words[0][i], p1 = std::uint64_t{0xCD9E8D57u} * words[2][i];
      words[0][i] = static_cast<std::uint32_t>(p1 >> 32) ^ words[1][i] ^ k0;
      words[1][i] = static_cast<std::uint32_t>(p1);
      words[2][i] = static_cast<std::uint32_t>(p0 >> 32) ^ words[3][i] ^ k1;
      words[3][i] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

// Numbers 4 * first .. 4 * (first + count) - 1 of the stream. Word j of group g goes to words[j][g - first].
template <std::size_t count>
TRANCHE_FUNCTOR void philox_groups(std::uint64_t key, std::uint64_t first, std::uint32_t (&words)[4][count]) {
  for (std::size_t i = 0; i < count; ++i) {
    words[0][i] = static_cast<std::uint32_t>(first + i);
    words[1][i] = static_cast<std::uint32_t>((first + i) >> 32);
  }
  philox_of_counters(key, words);
}

// Box, Muller 1958: two independent standard normals from two numbers. 24 bits of each: at most 5.77.
TRANCHE_FUNCTOR CosineSine normal_pair(std::uint32_t a, std::uint32_t b) {
  const float u = static_cast<float>(static_cast<std::int32_t>(a >> 8) + 1) * 0x1p-24f;  // in (0, 1]
  const float turns = static_cast<float>(static_cast<std::int32_t>(b >> 8)) * 0x1p-24f;  // in [0, 1)
  const float radius = square_root(-2.0f * log(u));
  const CosineSine direction = cosine_sine_of_turns(turns);
  return {radius * direction.cosine, radius * direction.sine};
}

// The same as uniform(number) >= probability, with the conversion that every path has.
TRANCHE_FUNCTOR bool kept(std::uint32_t number, float probability) {
  return static_cast<float>(static_cast<std::int32_t>(number >> 8)) * 0x1p-24f >= probability;
}

}  // namespace tranche::ops::functors
