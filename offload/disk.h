// A rank's disk, for what does not fit in memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "offload/config.h"
#include "offload/disk_queue.h"
#include "offload/swap_file.h"
#include "runtime/device/event.h"
#include "runtime/device/ledger.h"

namespace tranche {

// Space is asked for by one thread, transfers by any.
class Disk {
 public:
  struct Traffic {
    std::uint64_t read = 0, written = 0;  // bytes
    bool operator==(const Traffic&) const = default;
  };

  virtual ~Disk() = default;

  // Space for `bytes` more, which reads as zeros; its offset. Throws Exit::storage.
  std::uint64_t extend(std::uint64_t bytes, Category category, std::string_view owner);
  // As DiskQueue's.
  Event read(std::uint64_t offset, std::span<std::byte> into);
  Event write(std::uint64_t offset, std::span<const std::byte> from);

  const Ledger& ledger() const { return ledger_; }
  Traffic traffic() const { return {read_, written_}; }

 protected:
  virtual std::uint64_t do_extend(std::uint64_t bytes) = 0;
  virtual Event do_read(std::uint64_t offset, std::span<std::byte> into) = 0;
  virtual Event do_write(std::uint64_t offset, std::span<const std::byte> from) = 0;

 private:
  Ledger ledger_;
  std::atomic<std::uint64_t> read_ = 0, written_ = 0;
};

// In a swap file, which is made when it is first needed.
class SwapDisk : public Disk {
 public:
  explicit SwapDisk(const OffloadConfig& config) : folder_(config.swap_folder()), aio_(config.aio) {}

 protected:
  std::uint64_t do_extend(std::uint64_t bytes) override;
  Event do_read(std::uint64_t offset, std::span<std::byte> into) override { return queue_->read(offset, into); }
  Event do_write(std::uint64_t offset, std::span<const std::byte> from) override { return queue_->write(offset, from); }

 private:
  std::string folder_;
  AioConfig aio_;
  std::optional<SwapFile> file_;
  std::unique_ptr<DiskQueue> queue_;
};

// Waits for a transfer; what went wrong with it is told from where the caller is, which knows the step.
void wait_for(const Event& transfer);
// The same where nobody would hear of a failure that was told before.
void wait_quietly(const Event& transfer);

// For plans: it only counts.
class CountedDisk : public Disk {
 protected:
  std::uint64_t do_extend(std::uint64_t bytes) override { return std::exchange(size_, size_ + bytes); }
  Event do_read(std::uint64_t, std::span<std::byte>) override { return {}; }
  Event do_write(std::uint64_t, std::span<const std::byte>) override { return {}; }

 private:
  std::uint64_t size_ = 0;
};

}  // namespace tranche
