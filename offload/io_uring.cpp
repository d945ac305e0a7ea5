// Requests through io_uring (Axboe 2019): one ring, filled by whoever asks, emptied by one thread.
#include <liburing.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>

#include "offload/disk_queue.h"
#include "runtime/base/error.h"

namespace tranche {
namespace {

class IoUring : public DiskQueue::System {
 public:
  IoUring(DiskQueue& queue, int descriptor, io_uring ring)
      : queue_(queue), descriptor_(descriptor), ring_(ring), thread_([this] { reap(); }) {}
  ~IoUring() override { io_uring_queue_exit(&ring_); }

  void submit(DiskQueue::Request* request, std::size_t bytes) override {
    put(request, [&](io_uring_sqe* entry) {
      const auto length = static_cast<unsigned>(bytes);
      if (request->writes)
        io_uring_prep_write(entry, descriptor_, request->data, length, request->offset);
      else
        io_uring_prep_read(entry, descriptor_, request->data, length, request->offset);
    });
  }

  void end() override {
    put(nullptr, [](io_uring_sqe* entry) { io_uring_prep_nop(entry); });
    thread_.join();
  }

 private:
  template <class Prepare> void put(void* data, const Prepare& prepare) {
    const std::lock_guard lock{mutex_};
    io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
    check(entry != nullptr, "more requests at a time than the ring holds");
    prepare(entry);
    io_uring_sqe_set_data(entry, data);
    // What was not taken stays in the ring. The kernel may be short of memory, and others' transfers free some.
    for (int taken = io_uring_submit(&ring_); taken < 1; taken = io_uring_submit(&ring_)) {
      check(taken == 0 || taken == -EINTR || taken == -EAGAIN || taken == -EBUSY || taken == -ENOMEM,
            "io_uring refuses a request: ", std::strerror(-taken));
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
  }

  void reap() {
    for (;;) {
      io_uring_cqe* done = nullptr;
      if (io_uring_wait_cqe(&ring_, &done) != 0) continue;  // interrupted
      auto* const request = static_cast<DiskQueue::Request*>(io_uring_cqe_get_data(done));
      const std::int64_t result = done->res;
      io_uring_cqe_seen(&ring_, done);
      if (request == nullptr) return;
      queue_.finished(request, result);
    }
  }

  DiskQueue& queue_;
  int descriptor_;
  io_uring ring_;
  std::mutex mutex_;  // of the submitting side
  std::thread thread_;
};

// Since Linux 5.6; and whoever may make a ring may be forbidden to use it.
bool works(io_uring& ring) {
  io_uring_probe* const probe = io_uring_get_probe_ring(&ring);
  const bool can = probe != nullptr && io_uring_opcode_supported(probe, IORING_OP_READ) != 0 &&
                   io_uring_opcode_supported(probe, IORING_OP_WRITE) != 0;
  if (probe != nullptr) io_uring_free_probe(probe);
  if (!can) return false;
  io_uring_prep_nop(io_uring_get_sqe(&ring));
  io_uring_cqe* done = nullptr;
  if (io_uring_submit(&ring) != 1 || io_uring_wait_cqe(&ring, &done) != 0) return false;
  io_uring_cqe_seen(&ring, done);
  return true;
}

}  // namespace

std::unique_ptr<DiskQueue::System> make_io_uring(DiskQueue& queue, int descriptor, std::size_t depth) {
  io_uring ring{};
  // One more for the end.
  if (io_uring_queue_init(static_cast<unsigned>(depth + 1), &ring, 0) != 0) return nullptr;
  if (!works(ring)) {
    io_uring_queue_exit(&ring);
    return nullptr;
  }
  return std::make_unique<IoUring>(queue, descriptor, ring);
}

}  // namespace tranche
