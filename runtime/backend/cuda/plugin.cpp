// libtranche_cuda.so: what the program opens where there is a driver (runtime/backend/cuda_backend.h).
#include "runtime/backend/cuda_backend.h"
#include "runtime/comm/cuda/nccl_communicator.h"
#include "runtime/device/cuda/cuda_device.h"
#include "runtime/device/cuda/gpus.h"
#include "runtime/ops/cuda/blas_linear.h"
#include "runtime/ops/cuda/stream.h"

namespace tranche {

namespace ops::cuda {
cudaStream_t stream_of(Device& device) { return static_cast<tranche::cuda::CudaDevice&>(device).stream(); }
}  // namespace ops::cuda

namespace cuda {
namespace {

// TRANCHE_CUDA_ARCHITECTURES: what the kernels beside this were built for.
std::unique_ptr<Device> make_gpu(std::size_t rank_on_host, std::size_t ranks_on_host, std::size_t capacity) {
  return make_device(rank_on_host, ranks_on_host, capacity, TRANCHE_CUDA_ARCHITECTURES);
}
std::unique_ptr<CpuDevice> make_host(std::size_t threads, std::size_t capacity) {
  return std::make_unique<PinnedHost>(threads, capacity);
}

}  // namespace
}  // namespace cuda
}  // namespace tranche

extern "C" const tranche::CudaBackend* tranche_cuda_backend();
extern "C" const tranche::CudaBackend* tranche_cuda_backend() {
  static const tranche::CudaBackend backend{.version = tranche::cuda_backend_version,
                                            .build = tranche::cuda_backend_build,
                                            .gpus = tranche::cuda::gpus,
                                            .make_device = tranche::cuda::make_gpu,
                                            .make_host = tranche::cuda::make_host,
                                            .kernels = tranche::ops::cuda::kernels_with_blas,
                                            .collectives = tranche::cuda::nccl_version,
                                            .make_communicator = tranche::cuda::nccl_communicator};
  return &backend;
}
