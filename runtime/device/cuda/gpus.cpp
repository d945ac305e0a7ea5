#include "runtime/device/cuda/gpus.h"

#include <algorithm>

#include "runtime/base/error.h"
#include "runtime/device/cuda/cuda_device.h"
#include "runtime/device/cuda/nvtx_ranges.h"
#include "runtime/device/cuda/runtime.h"
#include "runtime/device/no_gpu.h"

namespace tranche::cuda {
namespace {

std::string version_text(int version) { return str(version / 1000, ".", version % 1000 / 10); }

int attribute(int gpu, cudaDeviceAttr which) {
  int value = 0;
  succeed(cudaDeviceGetAttribute(&value, which, gpu), "cudaDeviceGetAttribute");
  return value;
}

std::size_t count_gpus() {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaErrorInsufficientDriver) {
    int driver = 0, needed = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&needed);
    fail(no_gpu, str("no GPU can be used: the NVIDIA driver is for CUDA ", version_text(driver),
                     ", and this program needs one for ", version_text(needed), " or newer"));
  }
  ensure(no_gpu, result != cudaErrorNoDevice, "no GPU can be used: the NVIDIA driver finds none");
  succeed(result, "looking for GPUs");
  return static_cast<std::size_t>(count);
}

std::string name_of_gpu(int gpu) {
  cudaDeviceProp properties{};
  succeed(cudaGetDeviceProperties(&properties, gpu), "cudaGetDeviceProperties");
  return properties.name;
}

}  // namespace

bool built_for(std::string_view architectures, int major, int minor) {
  while (!architectures.empty()) {
    const std::size_t end = std::min(architectures.find(';'), architectures.size());
    const int number = std::stoi(std::string{architectures.substr(0, end)});
    if (number / 10 == major && number % 10 <= minor) return true;
    architectures.remove_prefix(std::min(end + 1, architectures.size()));
  }
  return false;
}

std::vector<std::string> gpus() {
  std::vector<std::string> all;
  for (std::size_t gpu = 0, count = count_gpus(); gpu < count; ++gpu)
    all.push_back(str("GPU ", gpu, " (", name_of_gpu(static_cast<int>(gpu)), ")"));
  return all;
}

std::unique_ptr<Device> make_device(std::size_t rank_on_host, std::size_t ranks_on_host, std::size_t capacity,
                                    std::string_view architectures) {
  const std::size_t count = count_gpus();
  ensure(no_gpu, ranks_on_host <= count, "no GPU for each rank: ", ranks_on_host, " ranks run on this host, ",
         "which has ", count, "; start no more than that on it");
  const int gpu = static_cast<int>(rank_on_host);
  const std::string name = name_of_gpu(gpu);
  const int major = attribute(gpu, cudaDevAttrComputeCapabilityMajor),
            minor = attribute(gpu, cudaDevAttrComputeCapabilityMinor);
  ensure(no_gpu, built_for(architectures, major, minor), "GPU ", gpu, " (", name, ") has compute capability ", major,
         ".", minor, ", and the kernels were built for ", architectures,
         ": build libtranche_cuda.so with TRANCHE_CUDA_ARCHITECTURES=", major, minor);
  show_spans_to_tools();
  return std::make_unique<CudaDevice>(gpu, name, capacity);
}

}  // namespace tranche::cuda
