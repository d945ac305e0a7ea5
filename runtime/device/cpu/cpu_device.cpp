#include "runtime/device/cpu/cpu_device.h"

#include <sys/mman.h>

#include <bit>

namespace tranche {
namespace {

constexpr std::size_t page = 4096, huge_page = std::size_t{2} << 20;

// Four classes between powers of two: at most a quarter is lost, and only in memory that is kept, never in the ledger.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= page) return page;
  const std::size_t step = std::max(page, std::bit_floor(bytes - 1) / 4);
  return (bytes + step - 1) / step * step;
}

}  // namespace

CpuDevice::CpuDevice(std::size_t threads, std::size_t capacity) : Device(DeviceType::cpu, capacity), pool_(threads) {}

CpuDevice::~CpuDevice() {
  for (const auto& [bytes, blocks] : free_)
    for (std::byte* block : blocks) ::munmap(block, bytes);
}

std::byte* CpuDevice::allocate_bytes(std::size_t bytes) {
  const std::size_t mapped = size_class(bytes);
  {
    const std::lock_guard lock{mutex_};
    if (const auto found = free_.find(mapped); found != free_.end() && !found->second.empty()) {
      std::byte* block = found->second.back();
      found->second.pop_back();
      return block;
    }
  }
  void* block = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return nullptr;
  if (mapped >= huge_page) ::madvise(block, mapped, MADV_HUGEPAGE);   // a wish; the system may decline
  return static_cast<std::byte*>(block);
}

void CpuDevice::free_bytes(std::byte* data, std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  free_[size_class(bytes)].push_back(data);
}

}  // namespace tranche
