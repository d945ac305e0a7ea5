// One element's part in pruning (runtime/ops/pruning.h).
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/ops/functors/functor.h"
#include "runtime/ops/pruning.h"

namespace tranche::ops::functors {

// The key by which elements are pruned.
TRANCHE_FUNCTOR std::uint32_t key_of(KeyOrder order, float value, float pruned) {
  if (pruned != 0) return 0u;
  constexpr std::uint32_t sign = 0x80000000u, most = 0xFFFFFFFEu;
  if (order == KeyOrder::magnitude) return 1u + (std::bit_cast<std::uint32_t>(value) & ~sign);
  const auto bits = std::bit_cast<std::uint32_t>(value + 0.0f);  // -0 becomes 0
  const std::uint32_t rising = (bits & sign) != 0 ? ~bits : bits | sign;
  return 1u + (rising < most ? rising : most);
}

TRANCHE_FUNCTOR float moved(float score, float rate, float weight, float gradient) {
  return score - rate * weight * gradient;
}

TRANCHE_FUNCTOR float penalised(float gradient, float l1, float l2, float weight) {
  const float sign = weight > 0 ? 1.0f : weight < 0 ? -1.0f : 0.0f;
  return gradient + (l1 * sign + l2 * weight);
}

}  // namespace tranche::ops::functors
