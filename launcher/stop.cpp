#include "launcher/stop.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <thread>

namespace tranche {
namespace {

std::atomic<bool> requested{false}, at_once{false};

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGUSR1);
  return signals;
}

void wait_for_signals() {
  const sigset_t signals = stop_signals();
  for (;;) {
    int signal_number = 0;
    if (sigwait(&signals, &signal_number) != 0) continue;
    const bool again = requested.exchange(true) && signal_number == SIGINT;
    if (!again && !at_once.load()) continue;
    signal(signal_number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    raise(signal_number);
  }
}

}  // namespace

void watch_for_stop() {
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // inherited by every thread that is started from here on
  std::thread{wait_for_signals}.detach();
}

void stop_at_once() { at_once.store(true); }

bool stop_requested() { return requested.load(); }

}  // namespace tranche
