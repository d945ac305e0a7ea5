// Normalisation of rows. Statistics and sums are float32 for every dtype.
#pragma once

#include "runtime/ops/destination.h"

namespace tranche::ops {

// Ba, Kiros, Hinton 2016: y = gain * (x - mean) * rstd + bias, rstd = 1 / sqrt(variance + epsilon), variance over n.
// x, y: (rows, width); gain, bias: (width), bias may be none; statistics: (rows, 2) float32, receives mean and rstd.
void layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, float epsilon, const Tensor& y,
                const Tensor& statistics);
void layer_norm_input_gradient(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& statistics,
                               const Destination& dx);
// Sums over rows, in a fixed order.  dgain, dbias: (width)
void layer_norm_parameter_gradients(const Tensor& dy, const Tensor& x, const Tensor& statistics,
                                    const Destination& dgain, const Destination& dbias);

// Zhang, Sennrich 2019: y = gain * x * rstd, rstd = 1 / sqrt(mean(x^2) + epsilon).  statistics: (rows) float32, rstd
void rms_norm(const Tensor& x, const Tensor& gain, float epsilon, const Tensor& y, const Tensor& statistics);
void rms_norm_input_gradient(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& statistics,
                             const Destination& dx);
void rms_norm_parameter_gradient(const Tensor& dy, const Tensor& x, const Tensor& statistics, const Destination& dgain);

}  // namespace tranche::ops
