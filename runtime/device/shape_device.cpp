#include "runtime/device/shape_device.h"

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "runtime/base/round.h"
#include "runtime/device/copy_stream.h"

namespace tranche {
namespace {

// Bit 61 makes an address non-canonical on x86-64, bit 55 gives it to the kernel on arm64, and no program has it set.
constexpr std::uintptr_t not_canonical = std::uintptr_t{1} << 61, kernels_half = std::uintptr_t{1} << 55;

class NoCopies : public CopyStream {
 public:
  Event copy(std::span<const std::byte>, std::span<std::byte>) override { return {}; }
};

}  // namespace

std::unique_ptr<CopyStream> ShapeDevice::copy_stream() { return std::make_unique<NoCopies>(); }

// What is read into memory of shapes, another device's, goes nowhere.
void ShapeDevice::read(const std::byte*, std::span<std::byte> into) const {
  if ((reinterpret_cast<std::uintptr_t>(into.data()) & kernels_half) == 0) std::ranges::fill(into, std::byte{0});
}

std::byte* ShapeDevice::allocate_bytes(std::size_t bytes, Category) {
  // Freed runs are not given out again: 2^54 bytes outlast any plan, and every shape device's buffers lie apart.
  static std::atomic<std::uintptr_t> next{not_canonical | kernels_half};
  return reinterpret_cast<std::byte*>(next.fetch_add(padded(bytes, 4096)));
}

}  // namespace tranche
