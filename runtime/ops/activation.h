// Elementwise nonlinearities, computed in float32 and rounded to the tensors' dtype. All tensors have one size.
#pragma once

#include "runtime/ops/destination.h"

namespace tranche::ops {

// gelu_tanh and gelu_erf: Hendrycks, Gimpel 2016, approximated and exact. silu: x * sigmoid(x).
enum class Activation { gelu_tanh, gelu_erf, silu, relu };

void activate(Activation kind, const Tensor& x, const Tensor& y);
void activate_gradient(Activation kind, const Tensor& dy, const Tensor& x, const Destination& dx);

// Shazeer 2020 (SwiGLU and kin): y = activation(gate) * up
void gated(Activation kind, const Tensor& gate, const Tensor& up, const Tensor& y);
void gated_gradient(Activation kind, const Tensor& dy, const Tensor& gate, const Tensor& up, const Destination& dgate,
                    const Destination& dup);

}  // namespace tranche::ops
