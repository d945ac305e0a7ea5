#include "runtime/device/shape_device.h"

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "runtime/base/round.h"
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
  // Bit 61 makes an address non-canonical on x86-64, bit 55 gives it to the kernel on arm64. Freed runs are not given
  // out again: 2^54 bytes outlast any plan, and every shape device's buffers lie apart.
  static constexpr std::uintptr_t first = (std::uintptr_t{1} << 61) | (std::uintptr_t{1} << 55);
  static std::atomic<std::uintptr_t> next{first};
  return reinterpret_cast<std::byte*>(next.fetch_add(padded(bytes, 4096)));
}

}  // namespace tranche
