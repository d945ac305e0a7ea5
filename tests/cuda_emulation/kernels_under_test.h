// Which table of kernels the tests of runtime/ops run, whichever file is linked.
#pragma once

#include "runtime/ops/kernels.h"

namespace tranche::ops {

const Kernels& kernels_under_test();

}  // namespace tranche::ops
