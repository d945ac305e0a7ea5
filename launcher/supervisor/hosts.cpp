#include "launcher/supervisor/hosts.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "runtime/base/error.h"

namespace tranche {
namespace {

constexpr std::size_t most_slots = 1 << 20;

std::size_t read_slots(const std::string& word, const std::string& place) {
  constexpr std::string_view key = "slots=";
  const std::string_view digits = std::string_view{word}.substr(std::min(key.size(), word.size()));
  std::size_t slots = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), slots);
  const bool read = error == std::errc{} && end == digits.data() + digits.size();
  ensure(Exit::usage, word.starts_with(key) && read && slots >= 1 && slots <= most_slots, place,
         "expected a host's name and slots=N, found \"", word.substr(0, 60), "\"");
  return slots;
}

}  // namespace

std::vector<Host> read_hosts(const std::filesystem::path& file) {
  std::ifstream in{file};
  ensure(Exit::usage, in.is_open() && !std::filesystem::is_directory(file), file.string(), " cannot be read");
  std::vector<Host> hosts;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string place = str(file.string(), ":", ++number, ": ");
    std::istringstream words{line.substr(0, line.find('#'))};
    Host host;
    if (!(words >> host.name)) continue;
    // It becomes part of mpirun's command line, where these would mean something else.
    ensure(Exit::usage, host.name.find_first_of(",:=^+/") == host.name.npos && host.name.front() != '-', place, "\"",
           host.name.substr(0, 60), "\" is no host's name");
    if (std::string word; words >> word) host.slots = read_slots(word, place);
    if (std::string more; words >> more)
      fail(Exit::usage, str(place, "\"", more.substr(0, 60), "\" behind slots=N is not understood"));
    const auto known = std::ranges::find(hosts, host.name, &Host::name);
    if (known == hosts.end())
      hosts.push_back(host);
    else
      known->slots += host.slots;
  }
  ensure(Exit::usage, !hosts.empty(), file.string(), " names no host");
  return hosts;
}

std::vector<Host> without_host(std::vector<Host> hosts, const Machine& machine) {
  const auto same = [&](const Host& host) { return means(host.name, machine); };
  if (!std::ranges::all_of(hosts, same)) std::erase_if(hosts, same);
  return hosts;
}

std::vector<Host> without_absent(const std::vector<Host>& hosts, std::size_t ranks,
                                 const std::vector<Machine>& arrived) {
  std::vector<Host> present;
  std::size_t slots = 0;
  for (const Host& host : hosts) {
    const bool idle = slots >= ranks;
    slots += host.slots;
    if (idle || std::ranges::any_of(arrived, [&](const Machine& each) { return means(host.name, each); }))
      present.push_back(host);
  }
  return present.empty() ? hosts : present;
}

std::vector<std::string> names_of(const std::vector<Host>& hosts) {
  std::vector<std::string> names;
  for (const Host& host : hosts) names.push_back(host.name);
  return names;
}

std::size_t slots_of(const std::vector<Host>& hosts) {
  std::size_t slots = 0;
  for (const Host& host : hosts) slots += host.slots;
  return slots;
}

}  // namespace tranche
