// All bits of the exponent are set in infinities and NaNs alone.
#pragma once

#include "runtime/ops/functors/functor.h"

namespace tranche::ops::functors {

TRANCHE_FUNCTOR bool non_finite(float x) { return (std::bit_cast<std::uint32_t>(x) & 0x7F800000u) == 0x7F800000u; }
TRANCHE_FUNCTOR bool non_finite(bfloat16 x) { return (x.bits & 0x7F80u) == 0x7F80u; }
TRANCHE_FUNCTOR bool non_finite(float16 x) { return (x.bits & 0x7C00u) == 0x7C00u; }

}  // namespace tranche::ops::functors
