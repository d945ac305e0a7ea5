#include "runtime/device/event.h"

#include <utility>

namespace tranche {

void Event::wait() const {
  if (!state_) return;
  std::unique_lock lock{state_->mutex};
  if (state_->work) {
    const auto work = std::exchange(state_->work, nullptr);
    lock.unlock();
    try {
      work();
      complete();
    } catch (...) {
      complete(std::current_exception());
    }
    lock.lock();
  }
  state_->changed.wait(lock, [&] { return state_->done; });
  if (state_->failure) std::rethrow_exception(state_->failure);
}

bool Event::happened() const {
  if (!state_) return true;
  const std::lock_guard lock{state_->mutex};
  return state_->done;
}

void Event::complete(std::exception_ptr failure) const {
  if (!state_) return;
  {
    const std::lock_guard lock{state_->mutex};
    state_->done = true;
    state_->failure = std::move(failure);
  }
  state_->changed.notify_all();
}

}  // namespace tranche
