// A rank's file for what does not fit in memory. It has no name from the moment it is made: nothing of it outlives the
// process, however that ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace tranche {

class SwapFile {
 public:
  // Offsets, lengths and addresses of every transfer are multiples of this.
  static constexpr std::size_t alignment = 4096;

  // In `folder`, which is made if it is not there. Reads and writes go past the system's cache where the file system
  // lets them (O_DIRECT); where not, the log says so. Throws Exit::storage.
  explicit SwapFile(const std::filesystem::path& folder);
  ~SwapFile();
  SwapFile(const SwapFile&) = delete;
  SwapFile& operator=(const SwapFile&) = delete;

  // Space for `bytes` more, rounded up to the alignment, which reads as zeros; its offset. Throws Exit::storage if the
  // disk has less.
  std::uint64_t extend(std::uint64_t bytes);

  int descriptor() const { return descriptor_; }
  std::uint64_t size() const { return size_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace tranche
