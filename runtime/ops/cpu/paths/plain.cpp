// For processors other than x86-64: one path, with whatever vectors the compiler finds in the processor's baseline.
#include "runtime/ops/cpu/paths/paths.h"

namespace tranche::ops {

namespace plain {
const Kernels& kernels();
}

InstructionPath highest_instruction_path() { return InstructionPath::plain; }
InstructionPath quickest_instruction_path() { return InstructionPath::plain; }
const Kernels& cpu_kernels(InstructionPath) { return plain::kernels(); }
void limit_library(InstructionPath) {}

}  // namespace tranche::ops
