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
struct FakeQuantizeBy {
  Elements x, steps, y;
  QuantizationGrid grid;
  unsigned bits;
};
struct FakeQuantizeByGradient {
  Elements dy, x, steps;
  Target target;  // of x's gradient, or of the steps'
  QuantizationGrid grid;
  unsigned bits;
};
struct RangeOf {
  Elements x;
  std::size_t size;
  float* range;
};

struct FakeQuantizeKernels {
  void (*groups)(Device&, const FakeQuantize&);
  void (*with)(Device&, const FakeQuantizeWith&);
  void (*by)(Device&, const FakeQuantizeBy&);
  void (*by_input_gradient)(Device&, const FakeQuantizeByGradient&);
  void (*by_step_gradient)(Device&, const FakeQuantizeByGradient&);
  void (*range)(Device&, const RangeOf&);
};

}  // namespace tranche::ops
