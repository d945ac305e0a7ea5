#include "tests/cuda_build/resources.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <regex>
#include <sstream>

#include "runtime/base/error.h"

namespace tranche::cuda_build {
namespace {

std::string demangled(const std::string& name) {
  const std::unique_ptr<char, void (*)(void*)> text{abi::__cxa_demangle(name.c_str(), nullptr, nullptr, nullptr),
                                                    std::free};
  return text ? text.get() : name;
}

}  // namespace

std::vector<Kernel> kernels_in(std::string_view log) {
  static const std::regex begins("Compiling entry function '([^']+)' for 'sm_([0-9]+)'");
  static const std::regex memory("([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads");
  static const std::regex registers("Used ([0-9]+) registers");
  std::vector<Kernel> kernels;
  bool is_recorded = false;
  std::istringstream lines{std::string{log}};
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_search(line, match, begins)) {
      is_recorded = match[2].str() == recorded_architecture;
      if (is_recorded) kernels.push_back({.name = demangled(match[1])});
    }
    if (!is_recorded) continue;
    Kernel& last = kernels.back();
    if (std::regex_search(line, match, memory))
      last.stack_bytes = std::stoul(match[1]), last.spilled_bytes = std::stoul(match[2]) + std::stoul(match[3]);
    if (std::regex_search(line, match, registers)) last.registers = std::stoul(match[1]);
  }
  return kernels;
}

Baseline read_baseline(std::string_view text) {
  Baseline baseline;
  std::istringstream lines{std::string{text}};
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words{line};
    std::string name;
    words >> name;
    if (name == "compiler") {
      words >> baseline.compiler;
    } else {
      Most most;
      words >> most.registers >> most.stack_bytes;
      ensure(Exit::data, !words.fail(), "a baseline's line is '", line, "', expected SOURCE REGISTERS STACK_BYTES");
      baseline.sources[name] = most;
    }
  }
  return baseline;
}

}  // namespace tranche::cuda_build
