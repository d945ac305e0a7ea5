// The key by which elements are pruned (runtime/ops/pruning.h).
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/ops/functors/functor.h"

namespace tranche::ops::functors {

TRANCHE_FUNCTOR std::uint32_t key_of(float value, float pruned) {
  return pruned != 0 ? 0u : 1u + (std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFu);
}

}  // namespace tranche::ops::functors
