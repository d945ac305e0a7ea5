// A plan as people read it.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "launcher/choices.h"
#include "launcher/plan.h"

namespace tranche {

// The job in a line: "llama of 6.74B parameters, bfloat16, ZeRO stage 3, ...".
std::string describe(const Job& job);
// Bytes of each memory at its peak, a line for each plan and memory.
std::string memory_table(std::span<const Plan> plans);
// What each rank sends in a steady step, a line for each plan and op.
std::string traffic_table(std::span<const Plan> plans);
// What each rank was doing at the peak of each memory.
std::string moment_lines(std::span<const Plan> plans);
// Reads and writes of the disk in a step, where there are any, and the size of a checkpoint.
std::string storage_lines(std::span<const Plan> plans);
// job: the one whose choices they are. Marks what fits, where the job limits anything.
std::string choice_table(const Job& job, std::span<const ChoiceRow> rows);
std::string remedy_lines(std::span<const Remedy> remedies, const Job& job);

}  // namespace tranche
