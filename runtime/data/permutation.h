// A shuffle of 0 .. size - 1 that needs no table: a keyed bijection, computed index by index.
//
// A Feistel network on the next power of four, walked until it falls below `size` ("cycle walking"): Black and Rogaway,
// "Ciphers with arbitrary finite domains", 2002. Values are part of the numbers' contract.
#pragma once

#include <array>
#include <cstdint>

#include "runtime/base/random.h"

namespace tranche {

// Immutable: any thread may call it.
class Permutation {
 public:
  // size: 1 to 2^62.
  Permutation(std::uint64_t size, const RandomKey& key);

  // Where `index`, below size, goes. At most a handful of rounds: the domain is below four times the size.
  std::uint64_t operator()(std::uint64_t index) const;

 private:
  static constexpr std::size_t rounds = 8;

  std::uint64_t size_;
  unsigned half_bits_ = 1;
  std::array<RandomKey, rounds> keys_;
};

}  // namespace tranche
