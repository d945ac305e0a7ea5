// Work on blocks of a file: while one thread is in the kernel, which copies or waits, another takes a checksum.
#pragma once

#include <atomic>
#include <cstddef>
#include <future>

#include "runtime/base/error.h"

namespace tranche::checkpoint {

// task(i) for every i < tasks, begun in that order, by this thread and another. Throws what one of them threw, after
// which none begins.
template <class Task> void on_two_threads(std::size_t tasks, const Task& task) {
  std::atomic<std::size_t> next = 0;
  const auto take = [&] {
    try {
      for (std::size_t i = next++; i < tasks; i = next++) task(i);
    } catch (...) {
      next = tasks;
      throw;
    }
  };
  try {
    std::future<void> other;  // waits at its end
    if (tasks > 1) other = std::async(std::launch::async, take);
    take();
    if (other.valid()) other.get();
  } catch (const Error& error) {
    fail(error.exit(), without_frames(error.what()));  // with what this thread was doing, whichever failed
  }
}

}  // namespace tranche::checkpoint
