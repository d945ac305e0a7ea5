#include "runtime/ops/instruction_path.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "runtime/base/error.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {
namespace {

TEST(InstructionPath, StartsAsTheBestAndCanBeLowered) {
  EXPECT_EQ(instruction_path(), best_instruction_path());
  CpuDevice device;
  const Kernels* best = &kernels_of(device);
  use_instruction_path(InstructionPath::plain);
  EXPECT_EQ(instruction_path(), InstructionPath::plain);
  EXPECT_EQ(&kernels_of(device) == best, best_instruction_path() == InstructionPath::plain);
  use_instruction_path(best_instruction_path());
  EXPECT_EQ(&kernels_of(device), best);
}

TEST(InstructionPath, AboveTheBestIsRefused) {
  if (best_instruction_path() == InstructionPath::avx512_bf16) return;  // there is nothing above
  EXPECT_THROW(use_instruction_path(InstructionPath::avx512_bf16), Error);
}

// The best is found once in a process, so each look needs a new one.
class InstructionPathDeathTest : public testing::Test {
 protected:
  InstructionPathDeathTest() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    if (const char* value = std::getenv("TRANCHE_INSTRUCTIONS")) before_ = value;
  }
  ~InstructionPathDeathTest() override { ::setenv("TRANCHE_INSTRUCTIONS", before_.c_str(), 1); }

 private:
  std::string before_;
};

TEST_F(InstructionPathDeathTest, TheEnvironmentLowersIt) {
  ::setenv("TRANCHE_INSTRUCTIONS", "plain", 1);
  EXPECT_EXIT(std::exit(best_instruction_path() == InstructionPath::plain ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST_F(InstructionPathDeathTest, AnUnknownNameInTheEnvironmentIsRefused) {
  ::setenv("TRANCHE_INSTRUCTIONS", "avx1024", 1);
  EXPECT_EXIT(
      {
        try {
          best_instruction_path();
        } catch (const Error& error) {
          std::fputs(error.what(), stderr);
          std::exit(static_cast<int>(error.exit()));
        }
      },
      testing::ExitedWithCode(2), "TRANCHE_INSTRUCTIONS is 'avx1024': expected plain, avx2");
}

}  // namespace
}  // namespace tranche::ops
