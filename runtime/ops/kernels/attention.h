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
  std::size_t first;
};
struct KeepKeysAndValues {
  Elements qkv;
  float *keys, *values;
  AttentionShape shape;
  std::size_t past, capacity;
};
struct AttentionOverKept {
  Elements qkv, y;
  const float *keys, *values;
  AttentionShape shape;
  std::size_t past, capacity;
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
  void (*keep)(Device&, const KeepKeysAndValues&);
  void (*over_kept)(Device&, const AttentionOverKept&);
};

}  // namespace tranche::ops
