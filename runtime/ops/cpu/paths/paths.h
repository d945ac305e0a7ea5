// The instruction paths that this build holds. One of the .cpp files beside it is built, by the processor's family.
#pragma once

#include "runtime/ops/instruction_path.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {

InstructionPath detect_instruction_path();               // the best that this build holds and this machine has
const Kernels& cpu_kernels(InstructionPath path);        // path is at most that one

}  // namespace tranche::ops
