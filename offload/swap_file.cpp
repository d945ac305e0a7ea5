#include "offload/swap_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/round.h"

namespace tranche {
namespace {

constexpr std::string_view name_prefix = "tranche-swap-", name_pattern = "tranche-swap-XXXXXX";

// Names that a process left which was killed while it had one: nothing was in them yet.
void remove_left_names(const std::filesystem::path& folder) {
  std::error_code ignored;  // what cannot be removed takes no room
  for (const auto& entry : std::filesystem::directory_iterator{folder, ignored}) {
    const std::string name = entry.path().filename().string();
    if (name.size() == name_pattern.size() && name.starts_with(name_prefix) && entry.is_regular_file(ignored) &&
        entry.file_size(ignored) == 0)
      std::filesystem::remove(entry.path(), ignored);
  }
}

// With a name for as long as it takes to take it away, where the file system has no files without one.
int open_without_name(const std::filesystem::path& folder) {
  const int unnamed = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (unnamed >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return unnamed;
  std::string name = (folder / name_pattern).string();
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

[[noreturn]] void fail_with(int reason, const std::string& what, const std::filesystem::path& folder) {
  std::string_view advice;
  if (reason == ENOSPC || reason == EDQUOT) advice = "; free some space, or set another nvme_path";
  if (reason == EROFS || reason == EACCES) advice = "; set nvme_path to a folder that can be written";
  fail(Exit::storage, str("cannot ", what, " in ", folder.string(), ": ", std::strerror(reason), advice));
}

}  // namespace

SwapFile::SwapFile(const std::filesystem::path& folder) : folder_(folder) {
  create_folder(folder_);
  remove_left_names(folder_);
  descriptor_ = open_without_name(folder_);
  if (descriptor_ < 0) fail_with(errno, "create a swap file", folder_);
  if (::fcntl(descriptor_, F_SETFL, ::fcntl(descriptor_, F_GETFL) | O_DIRECT) == 0) return;
  // Else a write would be done when the cache has it, and what the disk says later would be told to nobody.
  const int synchronous = ::open(str("/proc/self/fd/", descriptor_).c_str(), O_RDWR | O_CLOEXEC | O_DSYNC);
  if (synchronous < 0) fail_with(errno, "open a swap file for synchronous writes", folder_);
  ::close(std::exchange(descriptor_, synchronous));
  log::warning(str("the file system of ", folder_.string(),
                   " has no direct reads and writes: offloaded state passes the system's page cache, which is slower "
                   "and takes memory"));
}

SwapFile::~SwapFile() { ::close(descriptor_); }

std::uint64_t SwapFile::extend(std::uint64_t bytes) {
  const std::uint64_t begin = size_, more = padded(bytes, alignment);
  if (more == 0) return begin;
  // Where a file system cannot set space aside, a full disk shows when the state is written.
  if (::fallocate(descriptor_, 0, static_cast<off_t>(begin), static_cast<off_t>(more)) != 0 &&
      (errno != EOPNOTSUPP || ::ftruncate(descriptor_, static_cast<off_t>(begin + more)) != 0))
    fail_with(errno, str("make room for ", more, " bytes of offloaded state"), folder_);
  size_ += more;
  return begin;
}

}  // namespace tranche
