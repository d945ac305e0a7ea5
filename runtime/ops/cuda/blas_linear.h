// Products with weights by cuBLASLt.
#pragma once

#include "runtime/ops/kernels.h"

namespace tranche::ops::cuda {

// table.h's kernels, with products by cuBLASLt: forward with its bias, in half precision with GELU too, and both
// gradients. Where cuBLASLt has no algorithm, or there is nothing to add up, they stay linear.cu's.
const Kernels& kernels_with_blas();

}  // namespace tranche::ops::cuda
