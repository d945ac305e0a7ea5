// What a job computes on: with a GPU that can be used, with one that cannot, and without any.
#include <gmock/gmock.h>

#include <chrono>

#include "runtime/device/no_gpu.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* no_driver = "no GPU can be used: there is no NVIDIA driver";

class DeviceChoice : public TrainingProgram {
 protected:
  // `tranche ARGUMENTS` on `ranks`, where there are emulated GPUs; `more`: of its environment.
  Result with_gpus(std::size_t ranks, const std::string& arguments, const std::string& more = "") const {
    return shell(str("LD_LIBRARY_PATH=" TRANCHE_EMULATED " TRANCHE_CUDA_PLUGIN=" TRANCHE_EMULATED
                     "/libtranche_cuda.so ",
                     more, " ", ranks == 1 ? "" : str("mpirun -np ", ranks, " "), "'" TRANCHE_PROGRAM "' ", arguments));
  }
};

TEST_F(DeviceChoice, CudaWithoutADriverEndsWithTheReasonInUnderASecond) {
  const auto begin = std::chrono::steady_clock::now();
  const Result result = run("train job.json --device cuda");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{1});
  EXPECT_EQ(result.exit, static_cast<int>(no_gpu));
  EXPECT_THAT(result.errors, HasSubstr(no_driver));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "runs"));
}

TEST_F(DeviceChoice, AutoWithoutADriverSaysSoOnceAndTrainsOnTheCpu) {
  const Result result = run("train job.json --device auto");
  EXPECT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr(str("device.type is auto: computing on the CPU: ", no_driver)));
  EXPECT_EQ(metrics().size(), 2u);
}

TEST_F(DeviceChoice, AutoTakesTheGpuWhereThereIsOne) {
  const Result result = with_gpus(1, "train job.json --device auto");
  EXPECT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, AllOf(HasSubstr("of GPU 0 (emulated)"), Not(HasSubstr("on the CPU"))));
}

// Ranks never compute on different kinds of device.
TEST_F(DeviceChoice, AllRanksTakeTheCpuIfOneOfThemHasNoGpu) {
  const Result result = with_gpus(2, "train job.json --device auto", "TRANCHE_EMULATED_GPUS=1");
  EXPECT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("computing on the CPU, because of rank 0: no GPU for each rank: 2 ranks run on "
                                       "this host, which has 1"));
  const Result refused =
      with_gpus(2, "train job.json --device cuda --set checkpoint.directory=other", "TRANCHE_EMULATED_GPUS=1");
  EXPECT_EQ(refused.exit, static_cast<int>(no_gpu));
}

TEST_F(DeviceChoice, CollectivesGoByNcclUnlessTheLibraryHasNoneOrTheJobSaysOtherwise) {
  const auto told = [&](const std::string& arguments, const std::string& more = "") {
    const Result result = with_gpus(2, "train job.json --device cuda " + arguments, more);
    EXPECT_EQ(result.exit, 0) << result.errors;
    return result.errors;
  };
  EXPECT_THAT(told(""), HasSubstr("collectives of GPUs go by NCCL 2.28.9"));
  EXPECT_THAT(told("--set device.collectives=host --set checkpoint.directory=b"),
              HasSubstr("collectives of GPUs go through the host's memory: device.collectives is \"host\""));
  EXPECT_THAT(
      told("--set checkpoint.directory=c", "TRANCHE_CUDA_PLUGIN=" TRANCHE_EMULATED "/without_nccl/libtranche_cuda.so"),
      HasSubstr("through the host's memory: libtranche_cuda.so of rank 0 was built without NCCL"));
}

// What is not there cannot slow a program's start.
TEST_F(DeviceChoice, TheProgramNeedsNoneOfNvidiasLibraries) {
  const Result needed = shell("readelf --dynamic '" TRANCHE_PROGRAM "' | grep NEEDED");
  EXPECT_THAT(needed.output, HasSubstr("libmpi"));
  for (const char* library : {"cuda", "cudart", "cublas", "nccl", "nvidia"})
    EXPECT_THAT(needed.output, Not(HasSubstr(library)));
}

TEST_F(DeviceChoice, AnUnknownDeviceIsAUsageError) {
  EXPECT_EQ(run("train job.json --device gpu").exit, static_cast<int>(Exit::usage));
}

}  // namespace
}  // namespace tranche
