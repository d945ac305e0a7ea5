#include "runtime/device/work_queue.h"

#include "runtime/base/trace.h"

namespace tranche {

WorkQueue::WorkQueue(const char* name)
    : thread_([this, name] {
        trace::name_thread(name);
        serve();
      }) {}

WorkQueue::~WorkQueue() {
  {
    const std::lock_guard lock{mutex_};
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

Event WorkQueue::run(std::function<void()> task) {
  Event done = Event::pending();
  {
    const std::lock_guard lock{mutex_};
    items_.push_back({std::move(task), done});
  }
  changed_.notify_one();
  return done;
}

void WorkQueue::serve() {
  for (;;) {
    Item item;
    {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [&] { return ending_ || !items_.empty(); });
      if (items_.empty()) return;
      item = std::move(items_.front());
      items_.pop_front();
    }
    if (!failure_) {
      try {
        item.task();
      } catch (...) {
        failure_ = std::current_exception();
      }
    }
    item.task = nullptr;  // what it held goes before anyone is told
    item.done.complete(failure_);
  }
}

}  // namespace tranche
