#include "runtime/comm/futex.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <limits>

namespace tranche {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::microseconds looking{20};

// Not the private kind: the word may be another process's as well.
void call(const Word& word, int operation, std::uint32_t value, const timespec* at_most) {
  ::syscall(SYS_futex, reinterpret_cast<const std::uint32_t*>(&word), operation, value, at_most, nullptr, 0);
}

}  // namespace

bool wait_for_change(const Word& word, std::uint32_t seen, std::chrono::milliseconds at_most) {
  const auto changed = [&] { return word.load(std::memory_order_acquire) != seen; };
  const Clock::time_point begin = Clock::now();
  while (Clock::now() - begin < looking) {
    if (changed()) return true;
    ::sched_yield();
  }
  // The kernel looks at the word again before it sleeps, so no change is missed; a signal only makes us look early.
  while (!changed()) {
    const auto left = at_most - (Clock::now() - begin);
    if (left <= Clock::duration::zero()) return false;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec limit{static_cast<time_t>(seconds.count()),
                         static_cast<long>(std::chrono::nanoseconds{left - seconds}.count())};
    call(word, FUTEX_WAIT, seen, &limit);
  }
  return true;
}

void wake_one(Word& word) { call(word, FUTEX_WAKE, 1, nullptr); }
void wake_all(Word& word) {
  call(word, FUTEX_WAKE, static_cast<std::uint32_t>(std::numeric_limits<int>::max()), nullptr);
}

}  // namespace tranche
