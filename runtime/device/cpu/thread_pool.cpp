#include "runtime/device/cpu/thread_pool.h"

#include "runtime/base/error.h"

namespace tranche {
namespace {
thread_local bool inside_a_tile = false;
}

ThreadPool::ThreadPool(std::size_t threads) {
  check(threads >= 1, "a thread pool has at least one thread");
  for (std::size_t t = 1; t < threads; ++t) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock{mutex_};
    ending_ = true;
  }
  begun_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::dispatch(std::size_t tiles, Call call, void* body) {
  if (tiles <= 1 || workers_.empty() || inside_a_tile) {
    for (std::size_t i = 0; i < tiles; ++i) call(body, i);
    return;
  }
  const std::lock_guard turn{turn_};
  {
    const std::lock_guard lock{mutex_};
    call_ = call;
    body_ = body;
    tiles_ = tiles;
    next_ = 0;
    failure_ = nullptr;
    working_ = workers_.size();
    ++operation_;
  }
  begun_.notify_all();
  take_tiles();
  std::unique_lock lock{mutex_};
  ended_.wait(lock, [&] { return working_ == 0; });
  if (failure_) std::rethrow_exception(failure_);
}

void ThreadPool::take_tiles() {
  inside_a_tile = true;
  for (std::size_t i = next_++; i < tiles_; i = next_++) {
    try {
      call_(body_, i);
    } catch (...) {
      const std::lock_guard lock{mutex_};
      if (!failure_) failure_ = std::current_exception();
      next_ = tiles_;
    }
  }
  inside_a_tile = false;
}

void ThreadPool::work() {
  std::size_t done = 0;
  for (;;) {
    {
      std::unique_lock lock{mutex_};
      begun_.wait(lock, [&] { return ending_ || operation_ != done; });
      if (ending_) return;
      done = operation_;
    }
    take_tiles();
    bool last = false;
    {
      const std::lock_guard lock{mutex_};
      last = --working_ == 0;
    }
    if (last) ended_.notify_one();
  }
}

}  // namespace tranche
