// Which instructions the CPU's kernels use. One binary holds them all; the best one that the machine has is taken, and
// ranks of a job agree on the lowest among them, because matrix products differ in their last bits between paths.
#pragma once

#include <string_view>

namespace tranche::ops {

// In rising order. plain: what every x86-64 (or any other processor) has.
enum class InstructionPath { plain, avx2, avx512, avx512_bf16 };

std::string_view name_of(InstructionPath path);
InstructionPath best_instruction_path();     // of this machine; TRANCHE_INSTRUCTIONS=plain|avx2|... lowers it
InstructionPath instruction_path();          // in use; starts as the best
// Call before the first kernel, on no more than the best. Process-wide.
void use_instruction_path(InstructionPath path);

}  // namespace tranche::ops
