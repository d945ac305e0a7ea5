// Kernels of runtime/ops/embedding.h.
#pragma once

#include <cstdint>

#include "runtime/ops/kernels/elements.h"

namespace tranche {
class Device;
}

namespace tranche::ops {

// The first of `count` indices that is neither in [0, limit) nor `also`; count if there is none.
struct FirstOutside {
  const std::int32_t* indices;
  std::size_t count, limit;
  std::int32_t also;
};
struct EmbeddingForward {
  const std::int32_t* tokens;
  Elements table, y;
  std::size_t count, width;
};
struct Positions {
  std::int32_t* numbers;
  std::size_t rows, sequence, first;
};
struct EmbeddingGradient {
  const std::int32_t* tokens;
  Elements dy;
  Target dtable;
  std::size_t count, vocabulary, width;
};

struct EmbeddingKernels {
  std::size_t (*first_outside)(Device&, const FirstOutside&);
  void (*forward)(Device&, const EmbeddingForward&);
  void (*positions)(Device&, const Positions&);
  void (*gradient)(Device&, const EmbeddingGradient&);
};

}  // namespace tranche::ops
