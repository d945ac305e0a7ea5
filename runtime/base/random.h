// Counter-based random numbers: a number is a function of what it is for, never of a rank, a thread or of how many were
// drawn before. Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "runtime/base/dtype.h"

namespace tranche {

// Values are part of the numbers' contract: never renumber.
enum class Purpose : std::uint64_t { initialise = 1, order = 2, dropout = 3, sampling = 4 };

TRANCHE_HOST_DEVICE inline std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter_low,
                                                               std::uint64_t counter_high) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter_low), c1 = static_cast<std::uint32_t>(counter_low >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(counter_high), c3 = static_cast<std::uint32_t>(counter_high >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0, p1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

// A stream of numbers, named by what it is for: RandomKey{seed, Purpose::dropout}(hash_of(name))(step)(micro_batch).
class RandomKey {
 public:
  RandomKey() = default;
  RandomKey(std::uint64_t seed, Purpose purpose) : bits_(seed) { *this = (*this)(static_cast<std::uint64_t>(purpose)); }

  // The key of one part of what this one is for. Derived keys never share a counter with element numbers.
  RandomKey operator()(std::uint64_t part) const {
    const std::array<std::uint32_t, 4> words = philox(bits_, part, derivation);
    RandomKey key;
    key.bits_ = words[0] | std::uint64_t{words[1]} << 32;
    return key;
  }

  // Numbers 4 * group .. 4 * group + 3 of this stream.
  TRANCHE_HOST_DEVICE std::array<std::uint32_t, 4> group(std::uint64_t group) const { return philox(bits_, group, 0); }
  TRANCHE_HOST_DEVICE std::uint32_t number(std::uint64_t element) const { return group(element / 4)[element % 4]; }
  std::uint64_t bits() const { return bits_; }

 private:
  static constexpr std::uint64_t derivation = 0x64657269u;
  std::uint64_t bits_ = 0;
};

// Uniform in [0, 1), a multiple of 2^-24.
TRANCHE_HOST_DEVICE constexpr float uniform(std::uint32_t number) { return static_cast<float>(number >> 8) * 0x1p-24f; }

// 64-bit FNV-1a: turns names into parts of keys.
constexpr std::uint64_t hash_of(std::string_view text) {
  std::uint64_t value = 0xCBF29CE484222325u;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return value;
}

}  // namespace tranche
