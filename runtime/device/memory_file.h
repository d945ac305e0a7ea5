// Memory that other processes of the host can map: a file without a name, so that nothing of it outlives the processes
// that have it open, however they end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tranche {

// How another process of the host finds a memory file. Plain bytes: processes send it to each other.
struct MemoryFileName {
  std::int64_t process = 0;
  std::int64_t descriptor = -1;
  std::uint64_t filesystem = 0, file = 0;  // what must be found there, for process numbers mean other things elsewhere
  std::uint64_t bytes = 0;
};

// A file and where this process has it mapped, for reading and writing. Pages exist once they are touched.
class MemoryFile {
 public:
  // Throws Exit::out_of_memory, naming the call that failed.
  explicit MemoryFile(std::size_t bytes);
  // That of another process, which must have it open during the call. Throws Exit::ranks.
  explicit MemoryFile(const MemoryFileName& theirs);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  const MemoryFileName& name() const { return name_; }
  bool holds(std::span<const std::byte> bytes) const;

 private:
  int descriptor_ = -1;
  std::size_t bytes_ = 0;
  std::byte* data_ = nullptr;
  MemoryFileName name_;
};

// Another process's memory file, for reading. No more of it is mapped than was asked for, because a file is as long as
// it may ever become.
class MemoryFileView {
 public:
  explicit MemoryFileView(const MemoryFileName& theirs);  // as MemoryFile
  ~MemoryFileView();
  MemoryFileView(const MemoryFileView&) = delete;
  MemoryFileView& operator=(const MemoryFileView&) = delete;

  // What lies there; valid until the next call. Throws Exit::ranks if it cannot be mapped.
  std::span<const std::byte> at(std::size_t offset, std::size_t bytes);

 private:
  int descriptor_ = -1;
  std::size_t bytes_ = 0, mapped_ = 0;
  std::byte* data_ = nullptr;
};

}  // namespace tranche
