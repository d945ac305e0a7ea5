// Of runs that ask for a GPU and cannot use one.
#pragma once

#include "runtime/base/error.h"

namespace tranche {

// Their exit code: no driver or none that is new enough, no plugin of this program's, fewer GPUs than ranks, or a GPU
// that the kernels were not built for. The message says which.
inline constexpr Exit no_gpu{14};

}  // namespace tranche
