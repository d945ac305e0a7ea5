// Work on blocks of a file: while one thread is in the kernel, which copies or waits, another takes a checksum.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <future>

#include "runtime/base/error.h"

namespace tranche::checkpoint {

// task(i) for every i < tasks, by this thread and another. Throws what one of them threw, after which none begins.
// A thread takes several in a row: two that touch the same huge page of memory for the first time would both clear it.
template <class Task> void on_two_threads(std::size_t tasks, const Task& task) {
  constexpr std::size_t row = 8;
  std::atomic<std::size_t> next = 0;
  const auto take = [&] {
    try {
      for (std::size_t first = next.fetch_add(row); first < tasks; first = next.fetch_add(row))
        for (std::size_t i = first; i < std::min(first + row, tasks); ++i) task(i);
    } catch (...) {
      next = tasks;
      throw;
    }
  };
  try {
    std::future<void> other;  // waits at its end
    if (tasks > row) other = std::async(std::launch::async, take);
    take();
    if (other.valid()) other.get();
  } catch (const Error& error) {
    fail(error.exit(), without_frames(error.what()));  // with what this thread was doing, whichever failed
  }
}

}  // namespace tranche::checkpoint
