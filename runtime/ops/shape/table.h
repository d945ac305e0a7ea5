// Kernels that compute nothing and touch no byte: for a device of shapes alone (runtime/device/shape_device.h).
#pragma once

#include "runtime/ops/kernels.h"

namespace tranche::ops {

// What the host asks of values is answered as of a model whose numbers are all zero: every index inside its table,
// nothing infinite. Workspaces are those of the CPU's kernels.
const Kernels& shape_kernels();

}  // namespace tranche::ops
