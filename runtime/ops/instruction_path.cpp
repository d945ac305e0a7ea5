#include "runtime/ops/instruction_path.h"

#include <atomic>
#include <cstdlib>

#include "runtime/base/error.h"
#include "runtime/ops/cpu/paths/paths.h"

namespace tranche::ops {
namespace {

constexpr std::string_view names[] = {"plain", "avx2", "avx512", "avx512_vnni", "avx512_bf16"};

InstructionPath find_best() {
  const InstructionPath machine = highest_instruction_path();
  const char* wanted = std::getenv("TRANCHE_INSTRUCTIONS");
  if (wanted == nullptr || *wanted == '\0') return quickest_instruction_path();
  for (std::size_t i = 0; i < std::size(names); ++i) {
    if (names[i] != wanted) continue;
    const InstructionPath path{static_cast<int>(i)};
    ensure(Exit::usage, path <= machine, "TRANCHE_INSTRUCTIONS is ", wanted, ", but this machine has ",
           name_of(machine), " at most");
    return path;
  }
  fail(Exit::usage,
       str("TRANCHE_INSTRUCTIONS is '", wanted, "': expected plain, avx2, avx512, avx512_vnni or avx512_bf16"));
}

std::atomic<InstructionPath>& path_in_use() {
  static std::atomic<InstructionPath> path{best_instruction_path()};
  return path;
}

}  // namespace

std::string_view name_of(InstructionPath path) { return names[static_cast<std::size_t>(path)]; }

InstructionPath best_instruction_path() {
  static const InstructionPath best = find_best();
  return best;
}

InstructionPath instruction_path() { return path_in_use().load(std::memory_order_relaxed); }

void use_instruction_path(InstructionPath path) {
  check(path <= best_instruction_path(), "instruction path ", name_of(path), " is above the best, ",
        name_of(best_instruction_path()));
  path_in_use().store(path, std::memory_order_relaxed);
}

}  // namespace tranche::ops
