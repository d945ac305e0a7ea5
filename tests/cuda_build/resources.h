// What nvcc says that its kernels need (-Xptxas -v).
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tranche::cuda_build {

struct Kernel {
  std::string name;  // demangled
  std::size_t registers = 0, stack_bytes = 0, spilled_bytes = 0;
};
// Those for the architecture of which the baseline is, whatever else was built.
inline constexpr std::string_view recorded_architecture = "80";
std::vector<Kernel> kernels_in(std::string_view log);

// The largest of a source's kernels.
struct Most {
  std::size_t registers = 0, stack_bytes = 0;
};
struct Baseline {
  std::string compiler;  // as nvcc --version names it
  std::map<std::string, Most> sources;
};
// "compiler NAME", then "SOURCE REGISTERS STACK_BYTES" line by line; # begins a comment. Throws Exit::data.
Baseline read_baseline(std::string_view text);

}  // namespace tranche::cuda_build
