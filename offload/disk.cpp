#include "offload/disk.h"

#include "runtime/base/error.h"

namespace tranche {

std::uint64_t Disk::extend(std::uint64_t bytes, Category category, std::string_view owner) {
  const std::uint64_t begin = do_extend(bytes);
  ledger_.add(category, bytes, owner);
  return begin;
}

Event Disk::read(std::uint64_t offset, std::span<std::byte> into) {
  read_ += into.size();
  return do_read(offset, into);
}

Event Disk::write(std::uint64_t offset, std::span<const std::byte> from) {
  written_ += from.size();
  return do_write(offset, from);
}

void wait_for(const Event& transfer) {
  try {
    transfer.wait();
  } catch (const Error& error) {  // of another thread's frames
    fail(error.exit(), without_frames(error.what()));
  }
}

void wait_quietly(const Event& transfer) {
  try {
    transfer.wait();
  } catch (...) {
  }
}

std::uint64_t SwapDisk::do_extend(std::uint64_t bytes) {
  if (!file_) {
    file_.emplace(folder_);
    queue_ = std::make_unique<DiskQueue>(*file_, aio_);
  }
  return file_->extend(bytes);
}

}  // namespace tranche
