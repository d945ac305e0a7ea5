// Threads that take tiles of one operation at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace tranche {

// One caller at a time; calls from inside a tile run on the calling thread alone.
class ThreadPool {
 public:
  // threads >= 1, the caller included.
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t threads() const { return workers_.size() + 1; }

  // tile(i) for every i < tiles, each exactly once, in no particular order; returns when all are done and throws what
  // one of them threw. What a tile is must depend on shapes alone, never on the number of threads: that is what makes
  // results equal on any number of them. The pool may be called from several threads; they take turns.
  template <class Tile> void run(std::size_t tiles, Tile&& tile) {
    using Body = std::remove_reference_t<Tile>;
    dispatch(
        tiles, [](void* body, std::size_t i) { (*static_cast<Body*>(body))(i); },
        const_cast<void*>(static_cast<const void*>(&tile)));
  }

 private:
  using Call = void (*)(void*, std::size_t);
  void dispatch(std::size_t tiles, Call call, void* body);
  void work();
  void take_tiles();

  std::mutex turn_;  // one operation at a time
  std::mutex mutex_;
  std::condition_variable begun_, ended_;
  std::size_t operation_ = 0, working_ = 0;
  bool ending_ = false;
  std::exception_ptr failure_;

  Call call_ = nullptr;  // of the current operation
  void* body_ = nullptr;
  std::size_t tiles_ = 0;
  std::atomic<std::size_t> next_{0};
  std::vector<std::thread> workers_;
};

}  // namespace tranche
