#include "runtime/device/shape_device.h"

#include <sys/mman.h>

#include <algorithm>

#include "runtime/device/copy_stream.h"

namespace tranche {
namespace {
class NoCopies : public CopyStream {
 public:
  Event copy(std::span<const std::byte>, std::span<std::byte>) override { return {}; }
};
}  // namespace

std::unique_ptr<CopyStream> ShapeDevice::copy_stream() { return std::make_unique<NoCopies>(); }

void ShapeDevice::read(const std::byte*, std::span<std::byte> into) const { std::ranges::fill(into, std::byte{0}); }

std::byte* ShapeDevice::allocate_bytes(std::size_t bytes, Category) {
  void* block = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return block == MAP_FAILED ? nullptr : static_cast<std::byte*>(block);
}

void ShapeDevice::free_bytes(std::byte* data, std::size_t bytes) { ::munmap(data, bytes); }

}  // namespace tranche
