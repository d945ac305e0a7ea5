#include "runtime/device/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "runtime/base/error.h"
#include "runtime/base/round.h"
#include "runtime/device/reserved_memory.h"

namespace tranche {
namespace {

constexpr std::size_t least_mapped = std::size_t{64} << 20;

[[noreturn]] void refuse(Exit exit, int descriptor, const std::string& what) {
  const int cause = errno;
  if (descriptor >= 0) ::close(descriptor);
  fail(exit, str(what, ": ", std::strerror(cause)));
}

// At an address that has huge pages where the file has them, which the system looks for only where it makes such files
// itself. NORESERVE: the length is an upper bound, not a promise to use it.
std::byte* map(int descriptor, std::size_t bytes, int protection) {
  std::byte* begin = reserve_addresses(padded(bytes, page));
  if (begin == nullptr) return nullptr;
  if (::mmap(begin, bytes, protection, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, descriptor, 0) == MAP_FAILED) {
    ::munmap(begin, padded(bytes, page));
    return nullptr;
  }
  ::madvise(begin, bytes, MADV_HUGEPAGE);  // a wish; the system may decline
  return begin;
}

// Through the other process's table of open files: it needs no socket, and no right but to be of the same user.
int open_theirs(const MemoryFileName& theirs, int flags) {
  const std::string path = str("/proc/", theirs.process, "/fd/", theirs.descriptor);
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) refuse(Exit::ranks, -1, str("the memory of process ", theirs.process, " cannot be opened"));
  struct stat found {};
  if (::fstat(descriptor, &found) != 0 || found.st_dev != theirs.filesystem || found.st_ino != theirs.file) {
    ::close(descriptor);
    fail(Exit::ranks, str("process ", theirs.process, " is another one here than where its rank runs"));
  }
  return descriptor;
}

}  // namespace

MemoryFile::MemoryFile(std::size_t bytes) : bytes_(bytes) {
  descriptor_ = ::memfd_create("tranche", MFD_CLOEXEC);
  if (descriptor_ < 0) refuse(Exit::out_of_memory, -1, "no memory file can be made (memfd_create)");
  struct rlimit longest {};
  if (::getrlimit(RLIMIT_FSIZE, &longest) == 0) bytes_ = std::min<std::size_t>(bytes_, longest.rlim_cur);
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0)
    refuse(Exit::out_of_memory, descriptor_, str("a memory file cannot have ", bytes_, " bytes (ftruncate)"));
  data_ = map(descriptor_, bytes_, PROT_READ | PROT_WRITE);
  if (data_ == nullptr)
    refuse(Exit::out_of_memory, descriptor_, str("a memory file of ", bytes_, " bytes cannot be mapped"));
  struct stat made {};
  ::fstat(descriptor_, &made);
  name_ = {::getpid(), descriptor_, made.st_dev, made.st_ino, bytes_};
}

MemoryFile::MemoryFile(const MemoryFileName& theirs)
    : descriptor_(open_theirs(theirs, O_RDWR)), bytes_(theirs.bytes), name_(theirs) {
  data_ = map(descriptor_, bytes_, PROT_READ | PROT_WRITE);
  if (data_ == nullptr)
    refuse(Exit::ranks, descriptor_, str("the memory of process ", theirs.process, " cannot be mapped"));
}

MemoryFile::~MemoryFile() {
  ::munmap(data_, bytes_);
  ::close(descriptor_);
}

bool MemoryFile::holds(std::span<const std::byte> bytes) const {
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data()), first = reinterpret_cast<std::uintptr_t>(data_);
  return begin >= first && begin - first <= bytes_ && bytes.size() <= bytes_ - (begin - first);
}

MemoryFileView::MemoryFileView(const MemoryFileName& theirs)
    : descriptor_(open_theirs(theirs, O_RDONLY)), bytes_(theirs.bytes) {}

MemoryFileView::~MemoryFileView() {
  if (data_ != nullptr) ::munmap(data_, mapped_);
  ::close(descriptor_);
}

std::span<const std::byte> MemoryFileView::at(std::size_t offset, std::size_t bytes) {
  check(offset <= bytes_ && bytes <= bytes_ - offset, "a memory file of ", bytes_, " bytes has no ", bytes, " at ",
        offset);
  if (offset + bytes > mapped_) {
    if (data_ != nullptr) ::munmap(data_, mapped_);
    mapped_ = std::min(bytes_, std::bit_ceil(std::max(least_mapped, offset + bytes)));
    data_ = map(descriptor_, mapped_, PROT_READ);
    ensure(Exit::ranks, data_ != nullptr, mapped_, " bytes of a peer's memory cannot be mapped");
  }
  return {data_ + offset, bytes};
}

}  // namespace tranche
