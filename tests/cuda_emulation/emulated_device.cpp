#include "tests/cuda_emulation/emulated_device.h"

#include "runtime/base/error.h"
#include "runtime/device/copy_stream.h"
#include "runtime/ops/cuda/launch.cuh"
#include "tests/cuda_emulation/memory.h"

namespace tranche::cuda_emulation {

std::unique_ptr<CopyStream> EmulatedDevice::copy_stream() { fail(Exit::internal, "an emulated device does not copy"); }

// Tests fill their tensors, with NaN at least; nobody but a kernel fills its workspace.
std::byte* EmulatedDevice::allocate_bytes(std::size_t bytes, Category category) {
  const auto content = category == Category::workspace ? Memory::Content::unknown : Memory::Content::given;
  return memory().allocate(bytes, std::string{name_of(category)}, content);
}
void EmulatedDevice::free_bytes(std::byte* data, std::size_t) { memory().free(data); }

}  // namespace tranche::cuda_emulation

namespace tranche::ops::cuda {
cudaStream_t stream_of(Device&) { return nullptr; }  // there is one
}  // namespace tranche::ops::cuda
