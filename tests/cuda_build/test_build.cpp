// What nvcc says of the kernels: each fits its thread blocks, none spills, and none needs more than is recorded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "runtime/base/error.h"
#include "tests/cuda_build/resources.h"

namespace tranche::cuda_build {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

using Sources = std::map<std::string, std::vector<Kernel>>;
const Sources& built() {
  static const Sources sources = [] {
    Sources all;
    for (const auto& each : std::filesystem::directory_iterator("runtime/ops/cuda"))
      if (each.path().extension() == ".cu") {
        const std::string name = each.path().stem();
        all[name] = kernels_in(text_of(std::filesystem::path{TRANCHE_RESOURCES} / (name + ".resources")));
      }
    return all;
  }();
  return sources;
}

TEST(Log, IsReadKernelByKernel) {
  const std::vector<Kernel> kernels = kernels_in(R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z3addPf' for 'sm_80'
ptxas info    : Function properties for _Z3addPf
    48 bytes stack frame, 40 bytes spill stores, 44 bytes spill loads
ptxas info    : Used 168 registers, used 1 barriers, 48 bytes cumulative stack size, 480 bytes cmem[0]
ptxas info    : Compiling entry function 'plain' for 'sm_80'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 9 registers, used 0 barriers, 400 bytes cmem[0]
)");
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels[0].name, "add(float*)");
  EXPECT_EQ(kernels[0].registers, 168u);
  EXPECT_EQ(kernels[0].stack_bytes, 48u);
  EXPECT_EQ(kernels[0].spilled_bytes, 84u);
  EXPECT_EQ(kernels[1].registers, 9u);
  EXPECT_EQ(kernels[1].spilled_bytes, 0u);
}

TEST(Baseline, IsReadOrRefused) {
  const Baseline baseline = read_baseline("# comment\ncompiler V1.2\nnorm 40 16\n");
  EXPECT_EQ(baseline.compiler, "V1.2");
  EXPECT_EQ(baseline.sources.at("norm").registers, 40u);
  EXPECT_EQ(baseline.sources.at("norm").stack_bytes, 16u);
  EXPECT_THAT([] { read_baseline("norm 40\n"); }, ThrowsMessage<Error>(HasSubstr("a baseline's line is 'norm 40'")));
}

TEST(Kernels, AreInEverySource) {
  EXPECT_FALSE(built().empty());
  for (const auto& [source, kernels] : built()) EXPECT_FALSE(kernels.empty()) << source;
}

TEST(Kernels, DoNotSpill) {
  for (const auto& [source, kernels] : built())
    for (const Kernel& each : kernels) EXPECT_EQ(each.spilled_bytes, 0u) << source << ": " << each.name;
}

// A block of t threads has 65,536 / t registers a thread; beyond, it does not launch. Rows take up to 512 threads, all
// else 256 (runtime/ops/cuda/launch.cuh).
TEST(Kernels, FitTheirThreadBlocks) {
  for (const auto& [source, kernels] : built())
    for (const Kernel& each : kernels) {
      const std::size_t threads = each.name.find("over_rows_kernel") != std::string::npos ? 512 : 256;
      EXPECT_LE(each.registers, 65536 / threads) << source << ": " << each.name;
      EXPECT_GT(each.registers, 0u) << source << ": " << each.name;
    }
}

TEST(Kernels, NeedNoMoreThanIsRecorded) {
  const Baseline baseline = read_baseline(text_of("tests/cuda_build/baseline.txt"));
  if (baseline.compiler != TRANCHE_NVCC_VERSION)
    GTEST_SKIP() << "recorded of nvcc " << baseline.compiler << ", this is " << TRANCHE_NVCC_VERSION;
  std::string now = str("compiler ", TRANCHE_NVCC_VERSION, "\n");
  bool same = true;
  for (const auto& [source, kernels] : built()) {
    Most most;
    for (const Kernel& each : kernels) {
      most.registers = std::max(most.registers, each.registers);
      most.stack_bytes = std::max(most.stack_bytes, each.stack_bytes);
    }
    now += str(source, " ", most.registers, " ", most.stack_bytes, "\n");
    const auto recorded = baseline.sources.find(source);
    same = same && recorded != baseline.sources.end();
    if (recorded == baseline.sources.end()) continue;
    EXPECT_LE(most.registers, recorded->second.registers) << source << ".cu: registers";
    EXPECT_LE(most.stack_bytes, recorded->second.stack_bytes) << source << ".cu: bytes of stack";
  }
  for (const auto& [source, most] : baseline.sources) same = same && built().contains(source);
  EXPECT_TRUE(same && !testing::Test::HasFailure())
      << "tests/cuda_build/baseline.txt should now hold, if that is meant:\n"
      << now;
}

}  // namespace
}  // namespace tranche::cuda_build
