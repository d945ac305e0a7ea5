#include "runtime/data/permutation.h"

#include "runtime/base/error.h"

namespace tranche {

Permutation::Permutation(std::uint64_t size, const RandomKey& key) : size_(size) {
  check(size >= 1 && size <= std::uint64_t{1} << 62, "a permutation of ", size, " elements");
  while (std::uint64_t{1} << (2 * half_bits_) < size) ++half_bits_;
  for (std::size_t round = 0; round < rounds; ++round) keys_[round] = key(round);
}

std::uint64_t Permutation::operator()(std::uint64_t index) const {
  check(index < size_, "element ", index, " of a permutation of ", size_);
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  do {
    std::uint64_t left = index >> half_bits_, right = index & mask;
    for (const RandomKey& key : keys_) {
      const std::uint64_t mixed = left ^ (key.group(right)[0] & mask);
      left = right;
      right = mixed;
    }
    index = left << half_bits_ | right;
  } while (index >= size_);
  return index;
}

}  // namespace tranche
