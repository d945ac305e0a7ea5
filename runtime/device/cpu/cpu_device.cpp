#include "runtime/device/cpu/cpu_device.h"

#include <sys/mman.h>

#include <bit>

// The address sanitizer's, absent from every other build. Without being told it takes memory that is kept for later,
// and what a size class adds, for memory in use.
extern "C" {
[[gnu::weak]] void __asan_poison_memory_region(const volatile void* begin, std::size_t bytes);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* begin, std::size_t bytes);
}

namespace tranche {
namespace {

void forbid(const std::byte* begin, std::size_t bytes) {
  if (__asan_poison_memory_region != nullptr) __asan_poison_memory_region(begin, bytes);
}
void permit(const std::byte* begin, std::size_t bytes) {
  if (__asan_unpoison_memory_region != nullptr) __asan_unpoison_memory_region(begin, bytes);
}

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
    for (std::byte* block : blocks) {
      permit(block, bytes);  // whoever gets these addresses next
      ::munmap(block, bytes);
    }
}

std::byte* CpuDevice::allocate_bytes(std::size_t bytes) {
  const std::size_t mapped = size_class(bytes);
  {
    const std::lock_guard lock{mutex_};
    if (const auto found = free_.find(mapped); found != free_.end() && !found->second.empty()) {
      std::byte* block = found->second.back();
      found->second.pop_back();
      permit(block, bytes);
      return block;
    }
  }
  void* block = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return nullptr;
  if (mapped >= huge_page) ::madvise(block, mapped, MADV_HUGEPAGE);  // a wish; the system may decline
  std::byte* data = static_cast<std::byte*>(block);
  forbid(data + bytes, mapped - bytes);
  return data;
}

void CpuDevice::free_bytes(std::byte* data, std::size_t bytes) {
  forbid(data, size_class(bytes));
  const std::lock_guard lock{mutex_};
  free_[size_class(bytes)].push_back(data);
}

}  // namespace tranche
