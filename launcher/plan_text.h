// A plan as people read it.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "launcher/plan.h"

namespace tranche {

// The job in a line: "llama of 6.74B parameters, bfloat16, ZeRO stage 3, ...".
std::string describe(const Job& job);
// Bytes of each memory at its peak, a line for each plan and memory.
std::string memory_table(std::span<const Plan> plans);
// What each rank sends in a steady step, a line for each plan and op.
std::string traffic_table(std::span<const Plan> plans);
std::string remedy_lines(std::span<const Remedy> remedies, std::size_t capacity);

}  // namespace tranche
