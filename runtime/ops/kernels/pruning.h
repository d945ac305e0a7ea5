// Kernels of runtime/ops/pruning.h.
#pragma once

#include <cstdint>

#include "runtime/ops/kernels/elements.h"
#include "runtime/ops/pruning.h"

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
  KeyOrder order;
  std::uint32_t prefix;
  unsigned shift;
  std::uint64_t* counts;  // of the host
};
struct PruneBelow {
  const float* values;
  float* pruned;
  std::size_t size;
  KeyOrder order;
  std::uint32_t threshold;
  std::uint64_t ties;
};
struct PruneSmallest {
  const float* values;
  float* pruned;
  KeyOrder order;
  std::size_t groups, of, count;
};
struct AddMovement {
  const float *weights, *gradient;
  float* scores;
  std::size_t size;
  float rate;
};
struct AddPenalty {
  const float* weights;
  float* gradient;
  std::size_t size;
  float l1, l2;
};

struct PruningKernels {
  void (*zero_where)(Device&, const ZeroWhere&);
  void (*count_keys)(Device&, const CountKeys&);
  void (*below)(Device&, const PruneBelow&);
  void (*smallest)(Device&, const PruneSmallest&);
  void (*movement)(Device&, const AddMovement&);
  void (*penalty)(Device&, const AddPenalty&);
};

}  // namespace tranche::ops
