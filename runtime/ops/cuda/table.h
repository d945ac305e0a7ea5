// The kernels of a GPU, family by family, each filled in by the .cu file of its name. They run on the device's
// computing stream and return at once; what gives a number to the host waits for it. No sum depends on the order of
// threads.
#pragma once

#include "runtime/ops/kernels.h"

namespace tranche::ops::cuda {

ActivationKernels activation_kernels();
AttentionKernels attention_kernels();
DistillationKernels distillation_kernels();
ElementwiseKernels elementwise_kernels();
EmbeddingKernels embedding_kernels();
FakeQuantizeKernels fake_quantize_kernels();
LinearKernels linear_kernels();
LossKernels loss_kernels();
NormKernels norm_kernels();
OptimizerKernels optimizer_kernels();
PackedKernels packed_kernels();
PruningKernels pruning_kernels();
QuantizeKernels quantize_kernels();
ReduceKernels reduce_kernels();
SignKernels sign_kernels();
SparseKernels sparse_kernels();

// All of them.
const Kernels& cuda_kernels();

}  // namespace tranche::ops::cuda
