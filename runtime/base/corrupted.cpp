#include "runtime/base/corrupted.h"

#include <xxhash.h>

namespace tranche {

std::uint64_t checksum64(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace tranche
