// The tests of runtime/ops on a GPU (tests/gpu/verify.sh). Its memory is managed, so that tests fill it and look at it;
// they run with CUDA_LAUNCH_BLOCKING=1, since they know nothing of streams.
#include <cuda_runtime_api.h>

#include "runtime/base/error.h"
#include "runtime/device/copy_stream.h"
#include "runtime/ops/cuda/blas_linear.h"
#include "runtime/ops/cuda/stream.h"
#include "tests/runtime/ops/test_device.h"

namespace tranche::ops {
namespace {

class ManagedDevice : public Device {
 public:
  ManagedDevice() : Device(DeviceType::cuda, unlimited) {}
  std::string description() const override { return "a GPU's managed memory"; }
  std::unique_ptr<CopyStream> copy_stream() override { fail(Exit::internal, "a test device does not copy"); }
  void read(const std::byte* data, std::span<std::byte> into) const override {
    check(cudaDeviceSynchronize() == cudaSuccess, "the GPU failed");
    Device::read(data, into);
  }

 protected:
  std::byte* allocate_bytes(std::size_t bytes, Category) override {
    void* data = nullptr;
    return cudaMallocManaged(&data, bytes, cudaMemAttachGlobal) == cudaSuccess ? static_cast<std::byte*>(data)
                                                                               : nullptr;
  }
  void free_bytes(std::byte* data, std::size_t) override { cudaFree(data); }
};

}  // namespace

namespace cuda {
cudaStream_t stream_of(Device&) { return nullptr; }  // the default one
}  // namespace cuda

std::unique_ptr<Device> make_test_device(std::size_t) {
  use_cuda_kernels(cuda::kernels_with_blas());
  return std::make_unique<ManagedDevice>();
}

// A GPU has one way.
void on_every_test_device(const std::function<void(Device&, const std::string&)>& work) {
  for (const char* time : {"once", "again"}) work(*make_test_device(0), time);
}

}  // namespace tranche::ops
