#include "runtime/ops/cuda/blas_linear.h"
#include "tests/cuda_emulation/kernels_under_test.h"

namespace tranche::ops {
const Kernels& kernels_under_test() { return cuda::kernels_with_blas(); }
}  // namespace tranche::ops
