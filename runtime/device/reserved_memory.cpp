#include "runtime/device/reserved_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "runtime/base/error.h"
#include "runtime/base/round.h"

namespace tranche {
namespace {}

std::byte* reserve_addresses(std::size_t bytes) {
  void* room = ::mmap(nullptr, bytes + huge_page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return nullptr;
  std::byte* first = static_cast<std::byte*>(room);
  const std::size_t before = (huge_page - reinterpret_cast<std::uintptr_t>(room) % huge_page) % huge_page;
  if (before != 0) ::munmap(first, before);
  if (before < huge_page) ::munmap(first + before + bytes, huge_page - before);
  return first + before;
}

ReservedMemory::ReservedMemory(std::size_t bytes) : bytes_(padded(bytes, page)) {
  const auto shorten = [&] { bytes_ = padded(bytes_ / 4 * 3, page); };
  data_ = reserve_addresses(bytes_);
  if (data_ == nullptr) {
    while ((data_ = reserve_addresses(bytes_)) == nullptr && bytes_ > huge_page) shorten();
    ensure(Exit::out_of_memory, data_ != nullptr,
           "the system gives this process no more addresses: ", std::strerror(errno),
           "; is there a limit (ulimit -v)?");
    // All else needs addresses too: malloc, threads, files.
    const std::size_t all = bytes_;
    shorten();
    ::munmap(data_ + bytes_, all - bytes_);
  }
  ::madvise(data_, bytes_, MADV_HUGEPAGE);  // a wish; the system may decline
}

ReservedMemory::~ReservedMemory() { ::munmap(data_, bytes_); }

bool ReservedMemory::open(std::size_t begin, std::size_t end) {
  return ::mprotect(data_ + begin, end - begin, PROT_READ | PROT_WRITE) == 0;
}

}  // namespace tranche
