// Which instructions the CPU's kernels use. One binary holds them all; the machine's quickest is taken, and ranks of a
// job agree on the lowest among them, because matrix products differ in their last bits between paths.
#pragma once

#include <string_view>

namespace tranche::ops {

// In rising order. plain: what every x86-64 (or any other processor) has. avx2: x86-64-v3. avx512: x86-64-v4.
// avx512_vnni: sums of products of bytes in one instruction.
// avx512_bf16: products of bfloat16 matrices by the processor's own dot products, else they are widened to float32.
enum class InstructionPath { plain, avx2, avx512, avx512_vnni, avx512_bf16 };

std::string_view name_of(InstructionPath path);
// This machine's quickest, or the one that TRANCHE_INSTRUCTIONS=plain|avx2|avx512|avx512_vnni|avx512_bf16 names: any
// that the machine has. Throws Exit::usage on another.
InstructionPath best_instruction_path();
InstructionPath instruction_path();  // in use; starts as the best
// Call before the first kernel, on no more than the best; after the first matrix product a change is an error, because
// oneDNN keeps to what it was given. Process-wide.
void use_instruction_path(InstructionPath path);

}  // namespace tranche::ops
