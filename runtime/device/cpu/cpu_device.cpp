#include "runtime/device/cpu/cpu_device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/base/round.h"
#include "runtime/base/trace.h"
#include "runtime/device/copy_stream.h"
#include "runtime/device/size_class.h"
#include "runtime/device/work_queue.h"

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

constexpr int madvise_collapse = 25;  // MADV_COLLAPSE, since Linux 6.1: older headers lack it
constexpr std::size_t page = 4096, huge_page = std::size_t{2} << 20;

// What peers read. A rank's activations and optimizer state are nobody else's business.
bool is_read_by_peers(Category category) {
  return category == Category::parameters || category == Category::gradients || category == Category::communication;
}

// More than the machine has can never be in use. It is address space alone: pages come when they are touched.
std::size_t longest_file() {
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// The pages come at once: that there are none is an answer here, where later it would be a bus error. Whole huge ones
// are put together from their first page; asking for them in advance is no help where the system's setting for files is
// "never", as it mostly is. False: the machine has no more memory.
bool make_pages(std::byte* block, std::size_t bytes) {
  const std::size_t whole = bytes / huge_page * huge_page;
  const auto write = [](std::byte* begin, std::size_t length) {
    return ::madvise(begin, length, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;  // EINVAL: before Linux 5.14
  };
  for (std::size_t begin = 0; begin < whole; begin += huge_page)
    if (!write(block + begin, page)) return false;
  if (whole != 0) ::madvise(block, whole, madvise_collapse);  // a wish too
  return write(block, padded(bytes, page));
}

// One thread: a copy runs beside computation, at a core's share of the memory's speed.
class CpuCopyStream : public CopyStream {
 public:
  Event copy(std::span<const std::byte> from, std::span<std::byte> to) override {
    check(from.size() == to.size(), "a copy of ", from.size(), " bytes to ", to.size());
    return queue_.run([from, to] {
      const trace::Span span{trace::Kind::copy, "copy between tiers", {}, from.size()};
      std::memcpy(to.data(), from.data(), from.size());
    });
  }

 private:
  WorkQueue queue_{"copies"};
};

std::unique_ptr<MemoryFile> make_file() {
  try {
    return std::make_unique<MemoryFile>(longest_file());
  } catch (const Error& error) {
    log::everywhere(
        str("peers on this host cannot read this rank's memory, so collectives go through messages, which is "
            "slower: ",
            error.what()));
    return nullptr;
  }
}

}  // namespace

CpuDevice::CpuDevice(std::size_t threads, std::size_t capacity, Sharing sharing, Tier tier)
    : Device(DeviceType::cpu, capacity, tier),
      file_(sharing == Sharing::with_host ? make_file() : nullptr),
      pool_(threads) {}

CpuDevice::~CpuDevice() {
  for (const Blocks* all : {&free_, &free_in_file_})
    for (const auto& [bytes, blocks] : *all)
      for (std::byte* block : blocks) {
        permit(block, bytes);  // whoever gets these addresses next
        if (all == &free_) ::munmap(block, bytes);
      }
}

std::unique_ptr<CopyStream> CpuDevice::copy_stream() { return std::make_unique<CpuCopyStream>(); }

std::byte* CpuDevice::take(Blocks& blocks, std::size_t mapped) {
  const std::lock_guard lock{mutex_};
  const auto found = blocks.find(mapped);
  if (found == blocks.end() || found->second.empty()) return nullptr;
  std::byte* block = found->second.back();
  found->second.pop_back();
  return block;
}

std::byte* CpuDevice::allocate_bytes(std::size_t bytes, Category category) {
  const std::size_t mapped = size_class(bytes);
  const bool shared = file_ != nullptr && is_read_by_peers(category);
  std::byte* data = take(shared ? free_in_file_ : free_, mapped);
  if (data != nullptr) {
    permit(data, bytes);
    return data;
  }
  if (shared) {
    data = new_in_file(bytes, mapped);
  } else {
    void* block = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return nullptr;
    if (mapped >= huge_page) ::madvise(block, mapped, MADV_HUGEPAGE);  // a wish; the system may decline
    data = static_cast<std::byte*>(block);
  }
  if (data != nullptr) forbid(data + bytes, mapped - bytes);
  return data;
}

std::byte* CpuDevice::new_in_file(std::size_t bytes, std::size_t mapped) {
  std::size_t begin = 0;
  {
    const std::lock_guard lock{mutex_};
    begin = mapped >= huge_page ? padded(end_, huge_page) : end_;
    if (begin > file_->bytes() || mapped > file_->bytes() - begin) return nullptr;
    end_ = begin + mapped;
  }
  std::byte* block = file_->data() + begin;
  if (make_pages(block, bytes)) return block;
  forbid(block, mapped);
  const std::lock_guard lock{mutex_};
  free_in_file_[mapped].push_back(block);
  return nullptr;
}

void CpuDevice::free_bytes(std::byte* data, std::size_t bytes) {
  forbid(data, size_class(bytes));
  const std::lock_guard lock{mutex_};
  (in_file(data) ? free_in_file_ : free_)[size_class(bytes)].push_back(data);
}

}  // namespace tranche
