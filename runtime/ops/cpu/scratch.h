// Memory that a kernel needs within one tile: a thread's own, of a bounded size, kept for its next tile. It is not in
// the device's ledger: how many threads hold some depends on their timing, and the ledger's figures must not.
#pragma once

#include <cstddef>

namespace tranche::ops {

enum class Scratch : std::size_t { sums, first_operand, second_operand, attention, library, count };

// At least `bytes`, aligned to 64, uninitialised; valid until this thread asks for the same slot again.
// Throws Exit::out_of_memory.
void* scratch(Scratch slot, std::size_t bytes);

}  // namespace tranche::ops
