// Which GPU of the emulated machine a rank gets, and what is said where it gets none.
#include "runtime/device/cuda/gpus.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "runtime/device/cuda/cuda_device.h"
#include "runtime/device/no_gpu.h"

namespace tranche::cuda {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Property;
using testing::Throws;

// While it lives; then the machine is as it was.
class Machine {
 public:
  Machine(const char* variable, const char* value) : variable_(variable) { ::setenv(variable, value, 1); }
  ~Machine() { ::unsetenv(variable_); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

 private:
  const char* variable_;
};

std::string device_of(std::size_t rank, std::size_t ranks) {
  const std::unique_ptr<Device> device = make_device(rank, ranks, 5000, "80");
  EXPECT_EQ(device->capacity(), 5000u);
  return static_cast<CudaDevice&>(*device).description();
}
void expect_refused(std::size_t ranks, const std::string& reason) {
  EXPECT_THAT([&] { make_device(0, ranks, Device::unlimited, "80;90"); },
              Throws<Error>(AllOf(Property(&Error::exit, no_gpu), Property(&Error::what, HasSubstr(reason)))));
}

TEST(Gpus, ARankHasTheGpuOfItsNumberOnTheHost) {
  const Machine two{"TRANCHE_EMULATED_GPUS", "2"};
  EXPECT_THAT(gpus(), ElementsAre("GPU 0 (emulated)", "GPU 1 (emulated)"));
  EXPECT_EQ(device_of(0, 2), "GPU 0 (emulated)");
  EXPECT_EQ(device_of(1, 2), "GPU 1 (emulated)");
}

TEST(Gpus, MoreRanksThanGpusAreRefused) {
  const Machine two{"TRANCHE_EMULATED_GPUS", "2"};
  expect_refused(3, "no GPU for each rank: 3 ranks run on this host, which has 2; start no more than that on it");
}

TEST(Gpus, AMachineWithoutGpusOrWithAnOldDriverSaysSo) {
  {
    const Machine none{"TRANCHE_EMULATED_GPUS", "0"};
    expect_refused(1, "the NVIDIA driver finds none");
    EXPECT_THROW(gpus(), Error);
  }
  const Machine old{"TRANCHE_EMULATED_DRIVER", "12040"};
  expect_refused(1, "the NVIDIA driver is for CUDA 12.4, and this program needs one for 13.0 or newer");
}

TEST(Gpus, AGpuThatTheKernelsWereNotBuiltForIsRefused) {
  const Machine turing{"TRANCHE_EMULATED_CAPABILITY", "75"};
  expect_refused(1, "GPU 0 (emulated) has compute capability 7.5, and the kernels were built for 80;90");
}

// Code of one compute capability runs on a later one of the same first number.
TEST(Gpus, KernelsRunOnTheirGenerationFromTheirCapabilityOn) {
  EXPECT_TRUE(built_for("80", 8, 0));
  EXPECT_TRUE(built_for("80;90", 8, 9));
  EXPECT_TRUE(built_for("80;90", 9, 0));
  EXPECT_TRUE(built_for("80;100", 10, 0));
  EXPECT_FALSE(built_for("86", 8, 0));
  EXPECT_FALSE(built_for("80;90", 10, 0));
  EXPECT_FALSE(built_for("100", 1, 0));
  EXPECT_FALSE(built_for("", 8, 0));
}

}  // namespace
}  // namespace tranche::cuda
