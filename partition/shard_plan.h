// How flat layouts are divided among ranks: arithmetic only.
#pragma once

#include <cstddef>

#include "runtime/base/round.h"
#include "runtime/nn/seams.h"
#include "runtime/ops/reduce.h"

namespace tranche {

// A unit's flat layout over `ranks`: padded to a multiple of ranks x 1,024 elements, so that every slice begins on a
// block of the canonical sums.
struct Slicing {
  std::size_t size = 0, ranks = 1;  // of the unit, elements

  std::size_t padded() const { return tranche::padded(size, ranks * ops::block); }
  std::size_t slice() const { return padded() / ranks; }
  std::size_t first(std::size_t rank) const { return rank * slice(); }
};

}  // namespace tranche
