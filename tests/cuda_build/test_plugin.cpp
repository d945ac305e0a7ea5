// The library that nvcc built, opened by the program where something stands for a driver.
#include <gmock/gmock.h>

#include "runtime/device/no_gpu.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

class Plugin : public TrainingProgram {};

// All that it uses of the program and of NVIDIA's libraries is found, or it would not be opened; then NVIDIA's runtime
// is asked, and finds no driver behind the one that stands there.
TEST_F(Plugin, FitsTheProgramAndReachesNvidiasRuntime) {
  const Result result = shell("LD_LIBRARY_PATH=" TRANCHE_DRIVER " '" TRANCHE_PROGRAM "' train job.json --device cuda");
  EXPECT_EQ(result.exit, static_cast<int>(no_gpu));
  EXPECT_THAT(result.errors, ::testing::HasSubstr("the NVIDIA driver is for CUDA"));
}

}  // namespace
}  // namespace tranche
