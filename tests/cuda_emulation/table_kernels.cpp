#include "runtime/ops/cuda/table.h"
#include "tests/cuda_emulation/kernels_under_test.h"

namespace tranche::ops {
const Kernels& kernels_under_test() { return cuda::cuda_kernels(); }
}  // namespace tranche::ops
