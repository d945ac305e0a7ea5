// The instruction paths that this build holds. One of the .cpp files beside it is built, by the processor's family.
#pragma once

#include "runtime/ops/instruction_path.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {

InstructionPath highest_instruction_path();   // that this build holds and this machine has
InstructionPath quickest_instruction_path();  // at most that one
const Kernels& cpu_kernels(InstructionPath path);
void limit_library(InstructionPath path);  // oneDNN to the same instructions; before its first kernel

}  // namespace tranche::ops
