// One instruction path's table.
#include "runtime/ops/kernels.h"

namespace tranche::ops::TRANCHE_PATH {

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

const Kernels& kernels();
const Kernels& kernels() {
  static const Kernels table{
      .activation = activation_kernels(),
      .attention = attention_kernels(),
      .distillation = distillation_kernels(),
      .elementwise = elementwise_kernels(),
      .embedding = embedding_kernels(),
      .fake_quantize = fake_quantize_kernels(),
      .linear = linear_kernels(),
      .loss = loss_kernels(),
      .norm = norm_kernels(),
      .optimizer = optimizer_kernels(),
      .packed = packed_kernels(),
      .pruning = pruning_kernels(),
      .quantize = quantize_kernels(),
      .reduce = reduce_kernels(),
      .signs = sign_kernels(),
      .sparse = sparse_kernels(),
  };
  return table;
}

}  // namespace tranche::ops::TRANCHE_PATH
