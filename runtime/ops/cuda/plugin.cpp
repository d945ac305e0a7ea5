// libtranche_cuda.so: what the program opens where there is a driver (runtime/ops/cuda_backend.h).
#include "runtime/device/cuda/cuda_device.h"
#include "runtime/device/cuda/gpus.h"
#include "runtime/ops/cuda/blas_linear.h"
#include "runtime/ops/cuda/stream.h"
#include "runtime/ops/cuda_backend.h"

namespace tranche::ops::cuda {

cudaStream_t stream_of(Device& device) { return static_cast<tranche::cuda::CudaDevice&>(device).stream(); }

namespace {

// TRANCHE_CUDA_ARCHITECTURES: what the kernels beside this were built for.
std::unique_ptr<Device> make_device(std::size_t rank_on_host, std::size_t ranks_on_host, std::size_t capacity) {
  return tranche::cuda::make_device(rank_on_host, ranks_on_host, capacity, TRANCHE_CUDA_ARCHITECTURES);
}
std::unique_ptr<CpuDevice> make_host(std::size_t threads, std::size_t capacity) {
  return std::make_unique<tranche::cuda::PinnedHost>(threads, capacity);
}

}  // namespace
}  // namespace tranche::ops::cuda

extern "C" const tranche::ops::CudaBackend* tranche_cuda_backend();
extern "C" const tranche::ops::CudaBackend* tranche_cuda_backend() {
  static const tranche::ops::CudaBackend backend{.version = tranche::ops::cuda_backend_version,
                                                 .build = tranche::ops::cuda_backend_build,
                                                 .gpus = tranche::cuda::gpus,
                                                 .make_device = tranche::ops::cuda::make_device,
                                                 .make_host = tranche::ops::cuda::make_host,
                                                 .kernels = tranche::ops::cuda::kernels_with_blas};
  return &backend;
}
