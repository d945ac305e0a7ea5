// What a machine is called, and where it is found: hostfiles name it in one way, its ranks in another.
#pragma once

#include <string>
#include <vector>

namespace tranche {

struct Machine {
  std::string name;                      // its own word for itself
  std::vector<std::string> addresses{};  // IPv4, as 10.0.0.1; the loopback is none
  bool operator==(const Machine&) const = default;
};

inline constexpr std::size_t most_addresses = 16;  // of a machine; the rest is left out

Machine this_machine();
bool is_address(const std::string& text);  // IPv4

// Whether a hostfile's word for a host means this machine: its name, of which one of the two may lack the domain, one
// of its addresses, or a name that the resolver here knows one of them by.
bool means(const std::string& host, const Machine& machine);

// The address by which this machine is seen from the first of `hosts` that can be found and is not this one itself; its
// name where there is none. Sends nothing.
std::string address_towards(const std::vector<std::string>& hosts);

}  // namespace tranche
