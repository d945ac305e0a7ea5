#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

const Kernels& cuda_kernels() {
  static const Kernels table{.activation = activation_kernels(),
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
                             .sparse = sparse_kernels()};
  return table;
}

}  // namespace tranche::ops::cuda
