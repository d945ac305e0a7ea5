// Matrix products. x, weight and y share one dtype (float32, bfloat16 or float16); products accumulate in float32.
//
// Each output tile is one single-threaded product over the whole inner dimension, and tiles depend on the shape alone:
// the same bits on any number of threads (docs/numerics.md).
#pragma once

#include "runtime/ops/activation.h"
#include "runtime/ops/destination.h"

namespace tranche::ops {

// y = x weight^T + bias.  x: (rows, in), weight: (out, in), bias: (out) or none, y: (rows, out)
void linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y);

// linear() into `before`, which a gradient needs, and its activation into y. On the CPU the bits of linear() and
// activate(); a GPU may compute both in one pass, and y from what was not rounded yet.  before, y: (rows, out)
void linear_activated(Activation kind, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& before,
                      const Tensor& y);

// dx = dy weight.  dy: (rows, out), weight: (out, in), dx: (rows, in)
void linear_input_gradient(const Tensor& dy, const Tensor& weight, const Destination& dx);

// dweight = dy^T x.  dy: (rows, out), x: (rows, in), dweight: (out, in)
void linear_weight_gradient(const Tensor& dy, const Tensor& x, const Destination& dweight);

// dbias = the sum of dy's rows, in row order.  dy: (rows, out), dbias: (out)
void linear_bias_gradient(const Tensor& dy, const Destination& dbias);

}  // namespace tranche::ops
