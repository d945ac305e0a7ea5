// Kernels of runtime/ops/norm.h. Arrays of a call have one dtype; statistics are float32.
#pragma once

#include "runtime/ops/kernels/elements.h"

namespace tranche {
class Device;
}

namespace tranche::ops {

// bias may be none.
struct LayerNormForward {
  Elements x, gain, bias;
  float epsilon;
  Elements y;
  float* statistics;
  std::size_t rows, width;
};
struct RmsNormForward {
  Elements x, gain;
  float epsilon;
  Elements y;
  float* statistics;
  std::size_t rows, width;
};
struct NormInputGradient {
  Elements dy, x, gain;
  const float* statistics;
  Target dx;
  std::size_t rows, width;
};
// dgain and dbias may be none; rms norm has no dbias.
struct NormParameterGradients {
  Elements dy, x;
  const float* statistics;
  Target dgain, dbias;
  std::size_t rows, width;
};

struct NormKernels {
  void (*layer_norm)(Device&, const LayerNormForward&);
  void (*layer_norm_input_gradient)(Device&, const NormInputGradient&);
  void (*layer_norm_parameter_gradients)(Device&, const NormParameterGradients&);
  void (*rms_norm)(Device&, const RmsNormForward&);
  void (*rms_norm_input_gradient)(Device&, const NormInputGradient&);
  void (*rms_norm_parameter_gradient)(Device&, const NormParameterGradients&);
};

}  // namespace tranche::ops
