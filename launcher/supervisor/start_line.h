// The command that starts the ranks, with everything they need on it, so that a person can read it and paste it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "launcher/supervisor/hosts.h"

namespace tranche {

enum class Starter { mpirun, srun };

// Where ranks are started and by what.
struct Place {
  Starter starter = Starter::mpirun;
  std::string program = "mpirun";   // the starter: a path, or a name that PATH finds
  std::vector<Host> hosts;          // mpirun's; empty: this machine, or what the cluster gave
  bool root = false;                // this user is root, to whom mpirun objects
  std::vector<std::string> passed;  // "NAME=VALUE" that ranks are to find, on other hosts too
  std::size_t cores_of_each = 0;    // srun's --cpus-per-task; 0: not said

  bool one_host() const { return starter == Starter::mpirun && hosts.empty(); }
};

// This process's surroundings: inside a Slurm allocation srun, unless `mpirun` is named or there are hosts.
Place find_place(const std::string& mpirun, std::vector<Host> hosts);

// `command`: the program each rank runs, and its arguments.
std::vector<std::string> start_line(const Place& place, std::size_t ranks, const std::vector<std::string>& command);

// The words as one line of a POSIX shell.
std::string shell_line(const std::vector<std::string>& words);

}  // namespace tranche
