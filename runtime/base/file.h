// Files, as a checkpoint needs them: every failure is an Error (Exit::storage) with path and reason, what is written is
// all written, and one hook sees each change on its way to the disk, so that tests can kill the process, tear a write
// or fill the disk at any point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace tranche {

// One system call that changes, or reads, what is stored.
enum class IoCall : std::uint8_t { create, write, truncate, sync, rename, remove, create_folder, read };
std::string_view name_of(IoCall call);

// Sees every call before and after it is made. It may be called by several threads at once.
class IoFaults {
 public:
  struct Verdict {
    std::size_t bytes = SIZE_MAX;  // a write or read goes this far at most, whatever comes next
    int error = 0;                 // the call fails with this errno; a write with `bytes` limited writes them first
    bool kill = false;             // then this process ends as by SIGKILL
    bool pretend = false;          // the call is not made, and is said to have succeeded (a slow disk's sync)
  };
  virtual ~IoFaults() = default;
  virtual Verdict before(IoCall call, const std::filesystem::path& path, std::size_t bytes) = 0;
  virtual void after(IoCall, const std::filesystem::path&) {}
};

// Process-wide; null, as it is at the start, for none. The hook must outlive every call under way.
IoFaults* set_io_faults(IoFaults* faults);  // returns the previous one
IoFaults* io_faults();                      // for those who read and write by other means than File

// An open file. Not synchronised, except that several threads may read, or write different parts, at once. The
// destructor closes and ignores what that says: after writing, call sync and close.
class File {
 public:
  static File create(const std::filesystem::path& path);         // new, or emptied; to write and read
  static File open(const std::filesystem::path& path);           // an existing one, to read
  static File open_to_write(const std::filesystem::path& path);  // an existing one, to write and read
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  void write(std::uint64_t offset, std::span<const std::byte> bytes);  // all of them
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;   // all of them, or an error
  std::uint64_t size() const;
  void truncate(std::uint64_t size);
  void sync();  // returns when it is durable
  void close();
  const std::filesystem::path& path() const { return path_; }

 private:
  File(const std::filesystem::path& path, int flags);
  // Has the disk begin with a large piece while the next one is made, and waits for what lies a window behind it, which
  // then leaves the page cache: a sync finds little left to do, and what nobody reads again displaces nothing.
  void pass_on(std::uint64_t offset, std::size_t size);
  int descriptor_ = -1;
  std::filesystem::path path_;
};

void create_folder(const std::filesystem::path& path);  // and those above it; fine if it is there
void sync_folder(const std::filesystem::path& path);    // makes names in it durable
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);  // replaces a file at `to`
void remove_file(const std::filesystem::path& path);                                   // fine if it is not there
void remove_folder(const std::filesystem::path& path);  // and all in it; fine if it is not there

// The whole text of a small file, at most 1 GiB.
std::string read_small_file(const std::filesystem::path& path);

// Old text or new text, whatever happens: writes `path`.partial, syncs it, renames it, syncs the folder.
void write_small_file(const std::filesystem::path& path, std::string_view text);

}  // namespace tranche
