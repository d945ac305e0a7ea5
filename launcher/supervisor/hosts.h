// The hosts that ranks run on, as an Open MPI hostfile lists them.
//
//   # two machines
//   node-a slots=4
//   node-b slots=4
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "launcher/control/machine.h"

namespace tranche {

struct Host {
  std::string name;
  std::size_t slots = 1;  // ranks that it is to run
  bool operator==(const Host&) const = default;
};

// In the file's order. A host without "slots=" has one; a host that is named again has so many more. Throws
// Exit::usage, naming file and line, for anything else a line may say, and for a file without hosts.
std::vector<Host> read_hosts(const std::filesystem::path& file);

// Less the one that is this machine (control/machine.h), if others remain.
std::vector<Host> without_host(std::vector<Host> hosts, const Machine& machine);

// Less those that were to run some of `ranks`, which fill the hosts' slots in order, but are none of `arrived`; all of
// them if none would remain.
std::vector<Host> without_absent(const std::vector<Host>& hosts, std::size_t ranks,
                                 const std::vector<Machine>& arrived);

std::vector<std::string> names_of(const std::vector<Host>& hosts);
std::size_t slots_of(const std::vector<Host>& hosts);

}  // namespace tranche
