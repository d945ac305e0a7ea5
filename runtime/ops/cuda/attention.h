// The kernels of attention that have files of their own.
#pragma once

#include "runtime/ops/kernels/attention.h"

namespace tranche::ops::cuda {

void attention_gradient(Device& device, const AttentionGradient& op);
void rotary(Device& device, const Rotary& op);
void rotary_gradient(Device& device, const RotaryGradient& op);

}  // namespace tranche::ops::cuda
