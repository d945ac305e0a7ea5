// Kernels of runtime/ops/fake_quantize.h.
#pragma once

#include "runtime/ops/fake_quantize.h"
#include "runtime/ops/kernels/elements.h"

namespace tranche::ops {

struct FakeQuantize {
  Elements x, y;
  float* scales;  // null: not wanted
  QuantizationGrid grid;
  FakeForm form;
  unsigned bits;
};
struct FakeQuantizeWith {
  Elements x, y;
  std::size_t size;
  float scale;
  std::int32_t zero;
  Levels levels;
};
struct RangeOf {
  Elements x;
  std::size_t size;
  float* range;
};

struct FakeQuantizeKernels {
  void (*groups)(Device&, const FakeQuantize&);
  void (*with)(Device&, const FakeQuantizeWith&);
  void (*range)(Device&, const RangeOf&);
};

}  // namespace tranche::ops
