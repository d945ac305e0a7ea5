// The plugin for GPUs: found where it is said to lie, and refused with the reason before anything of it is used.
#include "runtime/backend/cuda_backend.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "runtime/device/no_gpu.h"

namespace tranche {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Property;
using testing::Throws;

const std::string driver = TRANCHE_STAND_IN_DRIVER, missing = "/nowhere/libmissing.so";

void expect_refused(const CudaLibraries& libraries, const std::string& reason) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT([&] { open_cuda_backend(libraries); },
              Throws<Error>(AllOf(Property(&Error::exit, no_gpu), Property(&Error::what, HasSubstr(reason)))));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{1});
}

TEST(CudaBackend, WithoutADriverThePluginIsNotLookedFor) {
  expect_refused({missing, TRANCHE_STAND_IN_PLUGIN}, "no GPU can be used: there is no NVIDIA driver (/nowhere");
  expect_refused({missing, missing}, "there is no NVIDIA driver");
}

TEST(CudaBackend, WithoutAPluginTheMessageSaysWhereItIsLookedFor) {
  expect_refused({driver, missing}, missing + " does not load (");
  expect_refused({driver, missing}, "it lies beside the program, or TRANCHE_CUDA_PLUGIN names it");
}

TEST(CudaBackend, AnotherLibraryIsNoPlugin) {
  expect_refused({driver, driver}, driver + " is no plugin of this program");
}

TEST(CudaBackend, APluginOfAnotherInterfaceOrCompilerIsRefused) {
  expect_refused({driver, TRANCHE_STAND_IN_OTHER_VERSION},
                 str("has interface 77, and this program ", cuda_backend_version, ": build both anew"));
  expect_refused({driver, TRANCHE_STAND_IN_OTHER_BUILD}, "was built by another compiler, and this program by g++ ");
}

TEST(CudaBackend, OneOfThisProgramsIsOpenedAndStays) {
  const CudaBackend& backend = open_cuda_backend({driver, TRANCHE_STAND_IN_PLUGIN});
  EXPECT_EQ(backend.version, cuda_backend_version);
  EXPECT_EQ(&open_cuda_backend({driver, TRANCHE_STAND_IN_PLUGIN}), &backend);
}

TEST(CudaBackend, LiesBesideTheProgramUnlessTheEnvironmentNamesIt) {
  ::unsetenv("TRANCHE_CUDA_PLUGIN");
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  EXPECT_EQ(cuda_libraries().plugin, (program.parent_path() / "libtranche_cuda.so").string());
  EXPECT_EQ(cuda_libraries().driver, "libcuda.so.1");
  ::setenv("TRANCHE_CUDA_PLUGIN", "elsewhere/plugin.so", 1);
  EXPECT_EQ(cuda_libraries().plugin, "elsewhere/plugin.so");
  ::unsetenv("TRANCHE_CUDA_PLUGIN");
}

}  // namespace
}  // namespace tranche
