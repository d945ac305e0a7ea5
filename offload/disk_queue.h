// Reads and writes of a swap file, many at a time, beside whatever else runs: through io_uring, or threads where the
// system has none.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>

#include "offload/config.h"
#include "offload/swap_file.h"
#include "runtime/device/event.h"

namespace tranche {

class DiskQueue {
 public:
  // How requests reach the system.
  struct Request {
    std::shared_ptr<struct Transfer> transfer;
    std::uint64_t offset = 0;
    std::byte* data = nullptr;
    std::size_t bytes = 0;
    bool writes = false;
  };
  class System {
   public:
    virtual ~System() = default;
    // Returns at once; DiskQueue::finished is told, from any thread. `bytes`: how far this request may go.
    virtual void submit(Request* request, std::size_t bytes) = 0;
    // Ends; nothing is under way.
    virtual void end() = 0;
  };

  // Null where the system has no such thing, or forbids it.
  using MakeSystem = std::unique_ptr<System>(DiskQueue& queue, int descriptor, std::size_t depth);

  // file: must outlive the queue.
  DiskQueue(const SwapFile& file, const AioConfig& options);
  DiskQueue(const SwapFile& file, const AioConfig& options, MakeSystem* preferred);
  ~DiskQueue();
  DiskQueue(const DiskQueue&) = delete;
  DiskQueue& operator=(const DiskQueue&) = delete;

  // Return at once; the bytes stay in place until the event. Offset, size and address are multiples of
  // SwapFile::alignment. The event throws Exit::storage, naming the file, the place and the reason, for an error, a
  // file that is shorter than it was made, and a disk that is full. Transfers that overlap must wait for one another.
  Event read(std::uint64_t offset, std::span<std::byte> into);
  Event write(std::uint64_t offset, std::span<const std::byte> from);

  // For the system: result as of pread, negative for -errno.
  void finished(Request* request, std::int64_t result);

 private:
  Event start(std::uint64_t offset, std::byte* data, std::size_t bytes, bool writes);
  void submit_waiting();
  void submit(Request* request);
  void close(std::unique_ptr<Request> request, int reason);

  const SwapFile& file_;
  AioConfig options_;
  std::mutex mutex_;
  std::deque<std::unique_ptr<Request>> waiting_;
  std::size_t under_way_ = 0;
  std::condition_variable idle_;
  std::unique_ptr<System> system_;
};

DiskQueue::MakeSystem make_io_uring, make_io_threads;

}  // namespace tranche
