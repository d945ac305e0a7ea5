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

namespace tranche {

struct Host {
  std::string name;
  std::size_t slots = 1;  // ranks that it is to run
  bool operator==(const Host&) const = default;
};

// In the file's order. A host without "slots=" has one; a host that is named again has so many more. Throws
// Exit::usage, naming file and line, for anything else a line may say, and for a file without hosts.
std::vector<Host> read_hosts(const std::filesystem::path& file);

// Less the one that calls itself `name`, if others remain. Of names with dots only one needs to have them: "node-a" is
// "node-a.cluster" too.
std::vector<Host> without_host(std::vector<Host> hosts, const std::string& name);

std::size_t slots_of(const std::vector<Host>& hosts);

}  // namespace tranche
