// Something that will have happened: the end of work that another thread or a device does in order.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

namespace tranche {

// A cheap handle; a default-made one has happened. Thread-safe.
class Event {
 public:
  Event() = default;
  static Event pending() {
    Event event;
    event.state_ = std::make_shared<State>();
    return event;
  }

  // It has happened once someone waited for it, who does `work` then; at most once, and never if nobody waits.
  static Event deferred(std::function<void()> work) {
    Event event = pending();
    event.state_->work = std::move(work);
    return event;
  }

  // Blocks until it has happened; throws what the work threw.
  void wait() const;
  bool happened() const;
  // Marks it; `failure` is what wait will throw.
  void complete(std::exception_ptr failure = nullptr) const;

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    std::exception_ptr failure;
    std::function<void()> work;
  };
  std::shared_ptr<State> state_;
};

}  // namespace tranche
