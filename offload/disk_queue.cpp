#include "offload/disk_queue.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

namespace tranche {

// A read or write that was asked for: some requests.
struct Transfer {
  Event done = Event::pending();
  std::size_t left = 0;  // requests
  std::exception_ptr failure;
};

DiskQueue::DiskQueue(const SwapFile& file, const AioConfig& options) : DiskQueue(file, options, make_io_uring) {}

DiskQueue::DiskQueue(const SwapFile& file, const AioConfig& options, MakeSystem* preferred)
    : file_(file), options_(options) {
  system_ = preferred(*this, file.descriptor(), options.queue_depth);
  if (system_ == nullptr) {
    log::info("this system has no io_uring: offloaded state is read and written by threads");
    system_ = make_io_threads(*this, file.descriptor(), options.queue_depth);
  }
}

DiskQueue::~DiskQueue() {
  {
    std::unique_lock lock{mutex_};
    idle_.wait(lock, [&] { return under_way_ == 0 && waiting_.empty(); });
  }
  system_->end();
}

Event DiskQueue::read(std::uint64_t offset, std::span<std::byte> into) {
  return start(offset, into.data(), into.size(), false);
}

Event DiskQueue::write(std::uint64_t offset, std::span<const std::byte> from) {
  return start(offset, const_cast<std::byte*>(from.data()), from.size(), true);
}

Event DiskQueue::start(std::uint64_t offset, std::byte* data, std::size_t bytes, bool writes) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  check((offset | bytes | address) % SwapFile::alignment == 0, "a transfer of ", bytes, " bytes at ", offset,
        " of a swap file is not aligned");
  check(offset + bytes <= file_.size(), "a transfer of ", bytes, " bytes at ", offset, " of a swap file of ",
        file_.size());
  if (bytes == 0) return {};
  const auto transfer = std::make_shared<Transfer>();
  const std::lock_guard lock{mutex_};
  for (std::size_t begin = 0; begin < bytes; begin += options_.block_size) {
    const std::size_t length = std::min(options_.block_size, bytes - begin);
    waiting_.push_back(std::make_unique<Request>(Request{transfer, offset + begin, data + begin, length, writes}));
    ++transfer->left;
  }
  const Event done = transfer->done;
  submit_waiting();
  return done;
}

// Under the mutex.
void DiskQueue::submit_waiting() {
  while (under_way_ < options_.queue_depth && !waiting_.empty()) {
    ++under_way_;
    Request* const request = waiting_.front().release();
    waiting_.pop_front();
    submit(request);
  }
}

void DiskQueue::submit(Request* request) {
  std::size_t bytes = request->bytes;
  if (IoFaults* const faults = io_faults(); faults != nullptr) [[unlikely]] {
    const IoFaults::Verdict verdict =
        faults->before(request->writes ? IoCall::write : IoCall::read, file_.folder() / "swap file", bytes);
    if (verdict.error != 0) {
      --under_way_;
      return close(std::unique_ptr<Request>{request}, verdict.error);
    }
    if (verdict.bytes < bytes)
      bytes = std::max(verdict.bytes / SwapFile::alignment, std::size_t{1}) * SwapFile::alignment;
  }
  system_->submit(request, bytes);
}

void DiskQueue::finished(Request* request, std::int64_t result) {
  const std::lock_guard lock{mutex_};
  const bool again = result == -EINTR || result == -EAGAIN;
  if (again || (result > 0 && static_cast<std::size_t>(result) < request->bytes)) {  // the rest
    const std::size_t moved = again ? 0 : static_cast<std::size_t>(result);
    request->offset += moved;
    request->data += moved;
    request->bytes -= moved;
    submit(request);
  } else {
    --under_way_;
    // Nothing was moved: the file ends before the place. A write of nothing has met a full disk.
    const int reason = result < 0 ? static_cast<int>(-result) : result == 0 ? (request->writes ? ENOSPC : ENODATA) : 0;
    close(std::unique_ptr<Request>{request}, reason);
  }
  submit_waiting();
  if (under_way_ == 0) idle_.notify_all();
}

// Under the mutex.
void DiskQueue::close(std::unique_ptr<Request> request, int reason) {
  Transfer& transfer = *request->transfer;
  if (reason != 0 && transfer.failure == nullptr)
    transfer.failure = std::make_exception_ptr(
        Error{Exit::storage,
              str("cannot ", request->writes ? "write" : "read", " ", request->bytes, " bytes at ", request->offset,
                  " of the swap file in ", file_.folder().string(), ": ",
                  reason == ENODATA ? "the file ends before them; something has truncated it" : std::strerror(reason),
                  ". The last checkpoint is whole: go on from it with --resume, once the disk is well or "
                  "nvme_path names another")});
  if (--transfer.left == 0) transfer.done.complete(transfer.failure);
}

}  // namespace tranche
