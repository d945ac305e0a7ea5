// One instruction path's table.
#include "runtime/ops/kernels.h"

namespace tranche::ops::TRANCHE_PATH {

LinearKernels linear_kernels();

const Kernels& kernels();
const Kernels& kernels() {
  static const Kernels table{
      .linear = linear_kernels(),
  };
  return table;
}

}  // namespace tranche::ops::TRANCHE_PATH
