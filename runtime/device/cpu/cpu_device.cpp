#include "runtime/device/cpu/cpu_device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/base/round.h"
#include "runtime/base/trace.h"
#include "runtime/device/copy_stream.h"
#include "runtime/device/size_class.h"
#include "runtime/device/work_queue.h"

// The address sanitizer's, absent from every other build. Without being told it takes memory that is kept for later,
// and what rounding to pages adds, for memory in use.
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

// What peers read. A rank's activations and optimizer state are nobody else's business.
bool is_read_by_peers(Category category) {
  return category == Category::parameters || category == Category::gradients || category == Category::communication;
}

// More than the machine has can never be in use. It is address space alone: pages come when they are touched.
std::size_t machine_memory() {
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// The pages of a file come at once: that there are none is an answer here, where later it would be a bus error. They
// are put together to huge ones from the first page of each; asking for those in advance is no help where the system's
// setting for files is "never", as it mostly is. False: the machine has no more memory.
bool make_pages(std::byte* begin, std::size_t bytes) {
  const auto write = [](std::byte* first, std::size_t length) {
    return ::madvise(first, length, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;  // EINVAL: before Linux 5.14
  };
  for (std::size_t at = 0; at < bytes; at += huge_page)
    if (!write(begin + at, page)) return false;
  ::madvise(begin, bytes, madvise_collapse);  // a wish too
  return write(begin, bytes);
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
    return std::make_unique<MemoryFile>(machine_memory());
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
      memory_(machine_memory()),
      file_(sharing == Sharing::with_host ? make_file() : nullptr),
      own_{memory_.data(), Arena{memory_.bytes()}},
      shared_{file_ ? file_->data() : nullptr, Arena{file_ ? file_->bytes() : 0}},
      pool_(threads) {}

CpuDevice::~CpuDevice() {
  for (const Ground* ground : {&own_, &shared_}) permit(ground->data, ground->reached);  // whoever gets these addresses
}

std::string CpuDevice::description() const { return str(pool_.threads(), " threads"); }

std::unique_ptr<CopyStream> CpuDevice::copy_stream() { return std::make_unique<CpuCopyStream>(); }

bool CpuDevice::reach(Ground& ground, std::size_t end) {
  if (end <= ground.reached) return true;
  const bool own = &ground == &own_;
  const std::size_t wanted = std::min(padded(end, huge_page), own ? memory_.bytes() : file_->bytes());
  const bool made =
      own ? memory_.open(ground.reached, wanted) : make_pages(ground.data + ground.reached, wanted - ground.reached);
  if (made) ground.reached = wanted;
  return made;
}

std::byte* CpuDevice::take(Ground& ground, std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  const std::optional<std::size_t> begin = ground.arena.take(bytes);
  if (!begin) return nullptr;
  if (reach(ground, *begin + bytes)) return ground.data + *begin;
  ground.arena.give_back(*begin, bytes);
  return nullptr;
}

std::byte* CpuDevice::allocate_bytes(std::size_t bytes, Category category) {
  const std::size_t whole = padded(bytes, page);
  std::byte* data = take(file_ != nullptr && is_read_by_peers(category) ? shared_ : own_, whole);
  if (data == nullptr) return nullptr;
  permit(data, bytes);
  forbid(data + bytes, whole - bytes);
  return data;
}

void CpuDevice::free_bytes(std::byte* data, std::size_t bytes) {
  const std::size_t whole = padded(bytes, page);
  forbid(data, whole);
  const std::lock_guard lock{mutex_};
  Ground& ground = in_file(data) ? shared_ : own_;
  ground.arena.give_back(static_cast<std::size_t>(data - ground.data), whole);
}

}  // namespace tranche
