// What goes wrong, and when: faults for the I/O layer, and children to try them in.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <stdexcept>
#include <string>

#include "runtime/base/file.h"

namespace tranche::testing {

// How the k-th changing call goes wrong.
enum class Fault { kill_before, kill_after, tear, fail, full_disk, short_write };

// Syncs only on paper: what the kernel has been given outlives a killed process, and waiting for disks is slow.
class FastDisk : public IoFaults {
 public:
  Verdict before(IoCall call, const std::filesystem::path&, std::size_t) override {
    return {.pretend = call == IoCall::sync};
  }
};

// Counts the calls that change something (for `tear`, the writes), in the order they come, and breaks the one numbered
// `at` (from 0). `fail` and `full_disk` go on failing: a disk does not heal by itself. Syncs only on paper, as
// FastDisk.
class IoScript : public IoFaults {
 public:
  IoScript() = default;
  IoScript(Fault fault, std::size_t at) : fault_(fault), at_(at) {}

  Verdict before(IoCall call, const std::filesystem::path&, std::size_t bytes) override {
    if (call == IoCall::read) return {};
    if (fault_ == Fault::tear && call != IoCall::write) return {.pretend = call == IoCall::sync};
    const std::size_t number = calls_++;
    const bool grows = call == IoCall::write || call == IoCall::create || call == IoCall::create_folder;
    switch (fault_) {
      case Fault::kill_before:
        if (number == at_) return {.kill = true};
        break;
      case Fault::kill_after:
        if (number == at_) dies_ = true;
        break;
      case Fault::tear:
        if (number == at_) return {.bytes = bytes / 2, .kill = true};
        break;
      case Fault::fail:
        if (number >= at_) return {.error = EIO};
        break;
      case Fault::full_disk:
        if (number >= at_ && grows) return {.bytes = bytes / 2, .error = ENOSPC};
        break;
      case Fault::short_write:
        if (bytes > 1) return {.bytes = bytes - bytes / 3 - 1};
        break;
    }
    return {.pretend = call == IoCall::sync};
  }
  void after(IoCall, const std::filesystem::path&) override {
    if (dies_.load()) ::kill(::getpid(), SIGKILL);
  }
  std::size_t calls() const { return calls_; }

 private:
  Fault fault_ = Fault::kill_before;
  std::size_t at_ = SIZE_MAX;
  std::atomic<std::size_t> calls_ = 0;
  std::atomic<bool> dies_ = false;
};

// Installed for one scope.
class WithFaults {
 public:
  explicit WithFaults(IoFaults& faults) : before_(set_io_faults(&faults)) {}
  ~WithFaults() { set_io_faults(before_); }
  WithFaults(const WithFaults&) = delete;
  WithFaults& operator=(const WithFaults&) = delete;

 private:
  IoFaults* before_;
};

// How a child that ran `work` under `faults` ended: "killed", "done", or the message of what it threw.
inline std::string fate_of_child(IoFaults& faults, const std::function<void()>& work) {
  int channel[2];
  if (::pipe(channel) != 0) throw std::runtime_error("no pipe");
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no child");
  if (child == 0) {
    std::string word = "done";
    try {
      const WithFaults on{faults};
      work();
    } catch (const std::exception& error) {
      word = error.what();
    }
    if (::write(channel[1], word.data(), word.size()) < 0) ::_exit(1);
    ::_exit(0);  // no destructors of the test program, no leak check of a half-finished child
  }
  ::close(channel[1]);
  std::string word;
  char buffer[4096];
  for (ssize_t got; (got = ::read(channel[0], buffer, sizeof buffer)) > 0;)
    word.append(buffer, static_cast<std::size_t>(got));
  ::close(channel[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "killed" : word;
}

}  // namespace tranche::testing
