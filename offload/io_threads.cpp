// Requests through pread and pwrite, as many threads as requests at a time.
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "offload/disk_queue.h"

namespace tranche {
namespace {

class IoThreads : public DiskQueue::System {
 public:
  IoThreads(DiskQueue& queue, int descriptor, std::size_t depth) : queue_(queue), descriptor_(descriptor) {
    for (std::size_t i = 0; i < depth; ++i) threads_.emplace_back([this] { serve(); });
  }

  void submit(DiskQueue::Request* request, std::size_t bytes) override {
    {
      const std::lock_guard lock{mutex_};
      items_.push_back({request, bytes});
    }
    changed_.notify_one();
  }

  void end() override {
    {
      const std::lock_guard lock{mutex_};
      ending_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  struct Item {
    DiskQueue::Request* request;
    std::size_t bytes;
  };

  void serve() {
    for (;;) {
      Item item{};
      {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return ending_ || !items_.empty(); });
        if (items_.empty()) return;
        item = items_.front();
        items_.pop_front();
      }
      const auto offset = static_cast<off_t>(item.request->offset);
      const ssize_t moved = item.request->writes ? ::pwrite(descriptor_, item.request->data, item.bytes, offset)
                                                 : ::pread(descriptor_, item.request->data, item.bytes, offset);
      queue_.finished(item.request, moved < 0 ? -errno : moved);
    }
  }

  DiskQueue& queue_;
  int descriptor_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<DiskQueue::System> make_io_threads(DiskQueue& queue, int descriptor, std::size_t depth) {
  return std::make_unique<IoThreads>(queue, descriptor, depth);
}

}  // namespace tranche
