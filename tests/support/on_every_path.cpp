// A main for tests of kernels. With TRANCHE_INSTRUCTIONS set it runs that instruction path alone, or is skipped where
// the machine lacks it. Otherwise it runs itself once for each path, because oneDNN keeps the first that it was given,
// and says which ran.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "runtime/ops/cpu/paths/paths.h"

namespace {

using namespace tranche::ops;

constexpr int skipped = 77;  // SKIP_RETURN_CODE of tranche_test
constexpr InstructionPath all_paths[] = {InstructionPath::plain, InstructionPath::avx2, InstructionPath::avx512,
                                         InstructionPath::avx512_vnni, InstructionPath::avx512_bf16};

int run_on(const std::string& path, int argc, char** argv) {
  for (const InstructionPath each : all_paths)
    if (name_of(each) == path && each > highest_instruction_path()) {
      std::printf("instruction path %s: skipped, for this machine has %s at most\n", path.c_str(),
                  std::string{name_of(highest_instruction_path())}.c_str());
      return skipped;
    }
  const std::string in_use{name_of(instruction_path())};
  std::printf("instruction path %s\n", in_use.c_str());
  testing::InitGoogleTest(&argc, argv);
  return in_use == path ? RUN_ALL_TESTS() : 1;
}

int exit_code_on(InstructionPath path, char** argv) {
  ::setenv("TRANCHE_INSTRUCTIONS", std::string{name_of(path)}.c_str(), 1);
  std::fflush(stdout);
  pid_t child = 0;
  int status = 0;
  if (::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, argv, environ) != 0) return 1;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (const char* path = std::getenv("TRANCHE_INSTRUCTIONS")) return run_on(path, argc, argv);
  std::string summary = "instruction paths:";
  bool passed = true;
  for (const InstructionPath path : all_paths) {
    const int code = exit_code_on(path, argv);
    passed = passed && (code == 0 || code == skipped);
    summary += std::string{" "} + std::string{name_of(path)} +
               (code == 0         ? " passed,"
                : code == skipped ? " skipped,"
                                  : " FAILED,");
  }
  summary.back() = '\n';
  std::fputs(summary.c_str(), stdout);
  return passed ? 0 : 1;
}
