// Kernels of runtime/ops/pruning.h.
#pragma once

#include <cstdint>

#include "runtime/ops/kernels/elements.h"

namespace tranche {
class Device;
}

namespace tranche::ops {

struct ZeroWhere {
  const float* pruned;
  Elements values;
  std::size_t size;
};
struct CountKeys {
  const float *values, *pruned;
  std::size_t size;
  std::uint32_t prefix;
  unsigned shift;
  std::uint64_t* counts;  // of the host
};
struct PruneBelow {
  const float* values;
  float* pruned;
  std::size_t size;
  std::uint32_t threshold;
  std::uint64_t ties;
};
struct PruneSmallest {
  const float* values;
  float* pruned;
  std::size_t groups, of, count;
};

struct PruningKernels {
  void (*zero_where)(Device&, const ZeroWhere&);
  void (*count_keys)(Device&, const CountKeys&);
  void (*below)(Device&, const PruneBelow&);
  void (*smallest)(Device&, const PruneSmallest&);
};

}  // namespace tranche::ops
