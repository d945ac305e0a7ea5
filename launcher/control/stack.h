// Where a thread of this process is, for a report of ranks that stand still.
#pragma once

#include <pthread.h>

#include <string>
#include <vector>

namespace tranche {

// Asks one thread, by a signal of its own (SIGRTMIN + 6), for its stack. What that thread waits in goes on; a system
// call that the kernel does not start again ends with EINTR. One process has one signal: of several objects, one asks
// at a time.
class ThreadStack {
 public:
  ThreadStack();  // of the thread that makes it, which must outlive it

  // Innermost first: names of functions without their parameters, "in libx.so" where a library does not give them; at
  // most `most_stack_frames` (messages.h). Empty: the thread has not come to the signal within a fifth of a second, as
  // one that waits for a disk may not. From any other thread. Never throws but std::bad_alloc.
  std::vector<std::string> frames() const;

 private:
  pthread_t thread_;
};

}  // namespace tranche
