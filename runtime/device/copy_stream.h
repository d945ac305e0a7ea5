// Copies between memory tiers, in order, beside whatever else runs.
#pragma once

#include <cstddef>
#include <span>

#include "runtime/device/event.h"

namespace tranche {

class CopyStream {
 public:
  virtual ~CopyStream() = default;
  // Of equal sizes that do not overlap; both stay as they are until the event. Returns at once.
  virtual Event copy(std::span<const std::byte> from, std::span<std::byte> to) = 0;
};

}  // namespace tranche
