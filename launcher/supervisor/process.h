// A process that this one starts and waits for, and whatever it leaves behind.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace tranche {

// One at a time. It runs in a process group of its own, so that a terminal's Ctrl-C reaches only who started it, and
// goes on if that one dies. Not synchronised.
class Process {
 public:
  // Starts words[0], which PATH finds, with nothing on its standard input. What it prints goes to `output`, an open
  // file of this process's; into its standard output unless given. Throws Exit::usage if it cannot be started.
  explicit Process(const std::vector<std::string>& words, int output = 1);
  ~Process();  // if it has not ended, it is told to
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // waitpid's status, once it has ended. Does not wait.
  std::optional<int> ended();
  void signal(int number) const;  // nothing once it has ended

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// From here on this process inherits the children of those of its children that die: ranks of an mpirun that was killed
// are still to be found. Throws Exit::internal where the kernel refuses.
void adopt_orphans();
// Waits until no child is left, which after `patience` are killed.
void outlive_children(std::chrono::milliseconds patience);

}  // namespace tranche
