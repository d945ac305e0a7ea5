#include "runtime/device/cuda/pinned_host.h"

#include "runtime/device/cuda/runtime.h"

namespace tranche::cuda {
namespace {

std::byte* make(std::size_t bytes) {
  void* data = nullptr;
  if (cudaHostAlloc(&data, bytes, cudaHostAllocPortable) == cudaSuccess) return static_cast<std::byte*>(data);
  cudaGetLastError();  // it was an answer
  return nullptr;
}
void release(std::byte* data) { cudaFreeHost(data); }

}  // namespace

PinnedHost::PinnedHost(std::size_t threads, std::size_t capacity)
    : CpuDevice(threads, capacity, Sharing::nothing, Tier::host), blocks_(make, release) {}

std::byte* PinnedHost::allocate_bytes(std::size_t bytes, Category) { return blocks_.take(bytes); }
void PinnedHost::free_bytes(std::byte* data, std::size_t bytes) { blocks_.keep(data, bytes); }

}  // namespace tranche::cuda
