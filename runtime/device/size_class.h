// In which sizes devices keep freed memory for the next allocation.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>

#include "runtime/base/round.h"

namespace tranche {

inline constexpr std::size_t smallest_size_class = 4096;

// Four classes between powers of two: at most a quarter is lost, and only in memory that is kept, never in the ledger.
inline std::size_t size_class(std::size_t bytes) {
  if (bytes <= smallest_size_class) return smallest_size_class;
  return padded(bytes, std::max(smallest_size_class, std::bit_floor(bytes - 1) / 4));
}

}  // namespace tranche
