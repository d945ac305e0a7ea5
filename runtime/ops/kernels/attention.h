// Kernels of runtime/ops/attention.h. qkv, y and their gradients have one dtype; log_sums is float32.
#pragma once

#include "runtime/ops/attention.h"
#include "runtime/ops/kernels/elements.h"

namespace tranche::ops {

struct AttentionForward {
  Elements qkv, y, log_sums;
  AttentionShape shape;
  AttentionDropout dropout;
};
struct AttentionGradient {
  Elements dy, qkv, y, log_sums;
  Target dqkv;
  AttentionShape shape;
  AttentionDropout dropout;
};
struct Rotary {
  Elements qkv, y;
  AttentionShape shape;
  float theta;
};
struct RotaryGradient {
  Elements dy;
  Target dqkv;
  AttentionShape shape;
  float theta;
};

struct AttentionKernels {
  void (*forward)(Device&, const AttentionForward&);
  void (*gradient)(Device&, const AttentionGradient&);
  void (*rotary)(Device&, const Rotary&);
  void (*rotary_gradient)(Device&, const RotaryGradient&);
};

}  // namespace tranche::ops
