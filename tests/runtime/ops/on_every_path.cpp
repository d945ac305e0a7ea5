// A main for tests of kernels: runs itself once for each instruction path that the machine has, because oneDNN keeps
// the first path that it was given. With TRANCHE_INSTRUCTIONS set it runs that path alone.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "runtime/ops/cpu/paths/paths.h"

namespace {

bool passes(const std::string& path, char** arguments) {
  ::setenv("TRANCHE_INSTRUCTIONS", path.c_str(), 1);
  std::printf("instruction path %s\n", path.c_str());
  std::fflush(stdout);
  pid_t child = 0;
  int status = 0;
  if (::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0) return false;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tranche::ops;
  if (std::getenv("TRANCHE_INSTRUCTIONS") != nullptr) {
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
  }
  bool passed = true;
  for (int path = 0; path <= static_cast<int>(highest_instruction_path()); ++path)
    passed = passes(std::string{name_of(InstructionPath{path})}, argv) && passed;
  return passed ? 0 : 1;
}
