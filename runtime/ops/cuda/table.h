// The kernels of a GPU, family by family, each filled in by the .cu file of its name. They run on the device's
// computing stream and return at once; what gives a number to the host waits for it. No sum depends on the order of
// threads.
#pragma once

#include "runtime/ops/kernels.h"

namespace tranche::ops::cuda {

ActivationKernels activation_kernels();
ElementwiseKernels elementwise_kernels();
EmbeddingKernels embedding_kernels();
LossKernels loss_kernels();
NormKernels norm_kernels();
OptimizerKernels optimizer_kernels();
ReduceKernels reduce_kernels();

}  // namespace tranche::ops::cuda
