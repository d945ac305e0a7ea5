#include "runtime/device/cuda/kept_blocks.h"

#include "runtime/device/size_class.h"

namespace tranche::cuda {

std::byte* KeptBlocks::take_kept(std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  const auto found = free_.find(size_class(bytes));
  if (found == free_.end() || found->second.empty()) return nullptr;
  std::byte* const block = found->second.back();
  found->second.pop_back();
  return block;
}

std::byte* KeptBlocks::take(std::size_t bytes) {
  if (std::byte* const block = take_kept(bytes)) return block;
  const std::size_t size = size_class(bytes);
  if (std::byte* const block = make_(size)) return block;
  release_kept();
  return make_(size);
}

void KeptBlocks::keep(std::byte* data, std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  free_[size_class(bytes)].push_back(data);
}

void KeptBlocks::release_kept() {
  const std::lock_guard lock{mutex_};
  for (const auto& [size, blocks] : free_)
    for (std::byte* block : blocks) release_(block);
  free_.clear();
}

}  // namespace tranche::cuda
