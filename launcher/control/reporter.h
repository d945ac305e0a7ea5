// The rank's side of the control channel: tells the supervisor, if there is one, what the rank is doing.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "launcher/control/messages.h"
#include "launcher/control/stack.h"

namespace tranche {

struct CollectiveRecord;

// What the thread that reports is called, in /proc, gdb and top.
inline constexpr const char* reporter_thread = "reporter";

// Made by the rank's training thread, whose stack it sends when it is asked to. Connects to the address in the
// environment (messages.h) and reports from a thread of its own, every `beat`. Where
// there is no supervisor, or it goes away, or cannot be reached, the rank works on; the latter two are logged once. No
// function waits for the supervisor, but for the destructor, at most a fifth of a second: what is said last must be out
// before others end this process.
class Reporter {
 public:
  Reporter(std::size_t rank, std::size_t ranks);
  ~Reporter();
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  // From any thread.
  void step(std::uint64_t step);
  void phase(std::string_view phase);
  void issued(const CollectiveRecord& record);
  // After a step: what this start's steps have taken, and this rank holds, so far (Activity).
  void spent(std::map<std::string, double> seconds, std::map<std::string, std::map<std::string, std::uint64_t>> bytes);

 private:
  void report();
  bool asked_for_stack() const;
  bool send(const std::string& message, const std::function<bool()>& goes_on);

  const ThreadStack stack_;
  int socket_ = -1;  // -1: nobody listens
  std::mutex mutex_;
  std::condition_variable ended_;
  Activity activity_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace tranche
