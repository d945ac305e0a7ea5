// Of runs whose memory changed by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/base/error.h"

namespace tranche {

// Their exit code: what a rank holds is not what was left there, or ranks that must hold the same do not.
inline constexpr Exit corrupted{13};

// A checksum of bytes that are there at once, as fast as memory: XXH3, 64 bits.
std::uint64_t checksum64(std::span<const std::byte> bytes);

}  // namespace tranche
