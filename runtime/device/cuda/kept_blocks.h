// Freed memory, kept for the next allocation of the same size class: CUDA's own allocation waits for the whole device.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace tranche::cuda {

// Thread-safe.
class KeptBlocks {
 public:
  // make: bytes to memory, null if there is none; release: gives it back. Both are CUDA's.
  using Make = std::byte* (*)(std::size_t bytes);
  using Release = void (*)(std::byte* data);
  KeptBlocks(Make make, Release release) : make_(make), release_(release) {}
  ~KeptBlocks() { release_kept(); }
  KeptBlocks(const KeptBlocks&) = delete;
  KeptBlocks& operator=(const KeptBlocks&) = delete;

  // Of at least `bytes`. Null if there is none, even after what is kept was given back.
  std::byte* take(std::size_t bytes);
  std::byte* take_kept(std::size_t bytes);  // null if none of that size is kept
  void keep(std::byte* data, std::size_t bytes);
  void release_kept();

 private:
  Make make_;
  Release release_;
  std::mutex mutex_;
  std::map<std::size_t, std::vector<std::byte*>> free_;  // by size class
};

}  // namespace tranche::cuda
