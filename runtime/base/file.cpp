#include "runtime/base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/base/trace.h"

namespace tranche {
namespace {

namespace fs = std::filesystem;

std::atomic<IoFaults*> installed{nullptr};

// What `call` returned, as fail(2)-style functions do (negative with errno), unless the hook wants otherwise.
// `call` is given how many bytes it may move.
template <class Call>
auto through_hook(IoCall kind, const fs::path& path, std::size_t bytes, Call call) -> decltype(call(bytes)) {
  IoFaults* const faults = installed.load(std::memory_order_acquire);
  if (faults == nullptr) [[likely]]
    return call(bytes);
  const IoFaults::Verdict verdict = faults->before(kind, path, bytes);
  const bool partly = verdict.bytes < bytes;
  decltype(call(bytes)) result = 0;
  if (partly ? verdict.bytes > 0 : verdict.error == 0 && !verdict.kill && !verdict.pretend)
    result = call(std::min(bytes, verdict.bytes));
  if (verdict.kill) ::kill(::getpid(), SIGKILL);
  if (verdict.error != 0) {
    errno = verdict.error;
    return -1;
  }
  faults->after(kind, path);
  return result;
}

[[noreturn]] void fail_with_errno(std::string_view what, const fs::path& path) {
  const int reason = errno;
  std::string_view advice;
  if (reason == ENOSPC || reason == EDQUOT) advice = "; free some space or choose another directory";
  if (reason == EMFILE) advice = "; raise the limit of open files (ulimit -n)";
  fail(Exit::storage, str("cannot ", what, " ", path.string(), ": ", std::strerror(reason), advice));
}

template <class Call> auto retried(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

std::string_view name_of(IoCall call) {
  constexpr std::string_view names[] = {"create", "write",  "truncate",      "sync",
                                        "rename", "remove", "create folder", "read"};
  return names[static_cast<std::size_t>(call)];
}

IoFaults* io_faults() { return installed.load(std::memory_order_acquire); }

IoFaults* set_io_faults(IoFaults* faults) { return installed.exchange(faults, std::memory_order_acq_rel); }

File::File(const fs::path& path, int flags) : path_(path) {
  const auto open_it = [&](std::size_t) {
    return retried([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
  };
  descriptor_ = (flags & O_CREAT) != 0 ? through_hook(IoCall::create, path_, 0, open_it) : open_it(0);
  if (descriptor_ < 0) fail_with_errno((flags & O_CREAT) != 0 ? "create" : "open", path_);
}

File File::create(const fs::path& path) { return {path, O_RDWR | O_CREAT | O_TRUNC}; }
File File::open(const fs::path& path) { return {path, O_RDONLY}; }
File File::open_to_write(const fs::path& path) { return {path, O_RDWR}; }

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}
File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}
File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void File::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  const trace::Span span{trace::Kind::disk, "write", path_.native(), bytes.size()};
  constexpr std::size_t large = std::size_t{1} << 20;
  const std::size_t whole = bytes.size();
  const std::uint64_t first = offset;
  while (!bytes.empty()) {
    const ssize_t written = through_hook(IoCall::write, path_, bytes.size(), [&](std::size_t count) {
      return retried([&] { return ::pwrite(descriptor_, bytes.data(), count, static_cast<off_t>(offset)); });
    });
    if (written == 0) errno = ENOSPC;  // no progress and no reason: never loop for ever
    if (written <= 0) fail_with_errno("write to", path_);
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  if (whole >= large) pass_on(first, whole);
}

void File::pass_on(std::uint64_t offset, std::size_t size) {
  constexpr std::uint64_t window = std::uint64_t{128} << 20;
  const auto count = static_cast<off_t>(size);
  ::sync_file_range(descriptor_, static_cast<off_t>(offset), count, SYNC_FILE_RANGE_WRITE);
  if (offset < window) return;
  const auto behind = static_cast<off_t>(offset - window);
  // This wait takes the disk's failure with it: no later sync would say it. Other errors mean that there is no such
  // call.
  if (::sync_file_range(descriptor_, behind, count, SYNC_FILE_RANGE_WAIT_BEFORE) != 0 &&
      (errno == EIO || errno == ENOSPC || errno == EDQUOT))
    fail_with_errno("write to", path_);
  ::posix_fadvise(descriptor_, behind, count, POSIX_FADV_DONTNEED);
}

void File::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  const trace::Span span{trace::Kind::disk, "read", path_.native(), bytes.size()};
  while (!bytes.empty()) {
    const ssize_t got = through_hook(IoCall::read, path_, bytes.size(), [&](std::size_t count) {
      return retried([&] { return ::pread(descriptor_, bytes.data(), count, static_cast<off_t>(offset)); });
    });
    if (got < 0) fail_with_errno("read", path_);
    ensure(Exit::storage, got > 0, "cannot read ", path_.string(), ": it ends at byte ", offset, ", ", bytes.size(),
           " bytes too early");
    offset += static_cast<std::uint64_t>(got);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

std::uint64_t File::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail_with_errno("examine", path_);
  return static_cast<std::uint64_t>(status.st_size);
}

void File::truncate(std::uint64_t size) {
  const int result = through_hook(IoCall::truncate, path_, 0, [&](std::size_t) {
    return retried([&] { return ::ftruncate(descriptor_, static_cast<off_t>(size)); });
  });
  if (result != 0) fail_with_errno("set the size of", path_);
}

void File::sync() {
  const trace::Span span{trace::Kind::disk, "sync", path_.native()};
  if (through_hook(IoCall::sync, path_, 0, [&](std::size_t) { return ::fsync(descriptor_); }) != 0)
    fail_with_errno("make durable (fsync)", path_);
}

void File::close() {
  if (descriptor_ >= 0 && ::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR)
    fail_with_errno("close", path_);
}

void create_folder(const fs::path& path) {
  std::error_code error;
  if (path.empty() || fs::is_directory(path, error)) return;
  create_folder(path.parent_path());
  const int result =
      through_hook(IoCall::create_folder, path, 0, [&](std::size_t) { return ::mkdir(path.c_str(), 0777); });
  if (result != 0 && !(errno == EEXIST && fs::is_directory(path, error))) fail_with_errno("create the folder", path);
}

void sync_folder(const fs::path& path) {
  const fs::path folder = path.empty() ? fs::path{"."} : path;
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail_with_errno("open the folder", folder);
  const int result = through_hook(IoCall::sync, folder, 0, [&](std::size_t) { return ::fsync(descriptor); });
  const int reason = errno;
  ::close(descriptor);
  errno = reason;
  // A file system that cannot sync folders says EINVAL: then names are as durable there as they can be.
  if (result != 0 && errno != EINVAL) fail_with_errno("make durable (fsync) the folder", folder);
}

void rename_path(const fs::path& from, const fs::path& to) {
  const int result =
      through_hook(IoCall::rename, to, 0, [&](std::size_t) { return ::rename(from.c_str(), to.c_str()); });
  if (result != 0) fail_with_errno(str("rename ", from.string(), " to"), to);
}

void remove_file(const fs::path& path) {
  const int result = through_hook(IoCall::remove, path, 0, [&](std::size_t) { return ::unlink(path.c_str()); });
  if (result != 0 && errno != ENOENT) fail_with_errno("remove", path);
}

void remove_folder(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return;
  std::vector<fs::path> inside;
  for (fs::directory_iterator entry{path, error}, end; !error && entry != end; entry.increment(error))
    inside.push_back(entry->path());
  if (error) {
    errno = error.value();
    fail_with_errno("list the folder", path);
  }
  std::ranges::sort(inside);  // the same order every time: tests count the calls
  for (const fs::path& each : inside) {
    if (fs::is_directory(fs::symlink_status(each, error)))
      remove_folder(each);
    else
      remove_file(each);
  }
  const int result = through_hook(IoCall::remove, path, 0, [&](std::size_t) { return ::rmdir(path.c_str()); });
  if (result != 0 && errno != ENOENT) fail_with_errno("remove the folder", path);
}

std::string read_small_file(const fs::path& path) {
  const File file = File::open(path);
  const std::uint64_t size = file.size();
  ensure(Exit::storage, size <= (std::uint64_t{1} << 30), "cannot read ", path.string(), ": ", size,
         " bytes are too many for a file of this kind");
  std::string text(static_cast<std::size_t>(size), '\0');
  file.read(0, std::as_writable_bytes(std::span{text.data(), text.size()}));
  return text;
}

void write_small_file(const fs::path& path, std::string_view text) {
  fs::path partial = path;
  partial += ".partial";
  File file = File::create(partial);
  file.write(0, std::as_bytes(std::span{text.data(), text.size()}));
  file.sync();
  file.close();
  rename_path(partial, path);
  sync_folder(path.parent_path());
}

}  // namespace tranche
