// A stream on the CPU: one thread that runs tasks in the order they were given.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "runtime/device/event.h"

namespace tranche {

class WorkQueue {
 public:
  explicit WorkQueue(const char* name);  // of its row in a trace; a literal
  ~WorkQueue();                          // runs what was given, then ends
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Returns at once. After a task threw, later ones do not run: their events carry the first failure.
  Event run(std::function<void()> task);

 private:
  struct Item {
    std::function<void()> task;
    Event done;
  };
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  bool ending_ = false;
  std::exception_ptr failure_;  // of the serving thread
  std::thread thread_;          // last: it uses the others
};

}  // namespace tranche
