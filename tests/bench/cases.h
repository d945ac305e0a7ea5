// What the benchmark of the kernels runs: one entry for each kernel, at sizes of GPT-2 124M.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/device/cpu/cpu_device.h"

namespace tranche::bench {

enum class Ceiling { read, copy, add, gemm_float32, gemm_bfloat16 };
inline constexpr std::size_t ceiling_count = 5;

struct Work {
  double amount = 0;  // of one run: bytes that must be read or written, or operations
  std::function<void()> run;
  std::function<double(int threads)> ceiling{};  // of the case's kind, over the work's own operands
};

struct Case {
  std::string name;
  Ceiling ceiling{};
  double least = 0;  // ratio to the ceiling
  std::function<Work(Device&)> make;
};

std::vector<Case> all_cases();

}  // namespace tranche::bench
