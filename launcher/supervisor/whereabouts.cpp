#include "launcher/supervisor/whereabouts.h"

#include <algorithm>
#include <fstream>

#include "runtime/base/error.h"

namespace tranche {
namespace {

constexpr std::size_t most_alike = 16;  // ranks that one line names

// The letter behind the name in /proc/PID/stat; 0: there is no such process.
char state_of(std::int64_t pid) {
  std::ifstream file{str("/proc/", pid, "/stat")};
  std::string line;
  std::getline(file, line);
  const std::size_t name_ends = line.rfind(')');
  return name_ends == line.npos || name_ends + 2 >= line.size() ? '\0' : line[name_ends + 2];
}

std::string function_in_kernel(std::int64_t pid) {
  std::ifstream file{str("/proc/", pid, "/wchan")};
  std::string function;
  std::getline(file, function);
  return function.size() > 1 ? " in " + function : "";
}

std::string state_text(const Roll::Rank& rank, const std::string& this_host) {
  if (!rank.joined) return "has never been heard of";
  if (rank.machine.name != this_host) return str("does not answer; see process ", rank.pid, " on ", rank.machine.name);
  switch (state_of(rank.pid)) {
    case '\0': return str("process ", rank.pid, " has ended");
    case 'Z': return str("process ", rank.pid, " has ended, and mpirun has not noticed");
    case 'T': return str("process ", rank.pid, " was stopped by a signal: kill -CONT would let it go on");
    case 't': return str("process ", rank.pid, " is held by a debugger");
    case 'D':
      return str("process ", rank.pid, " waits in the kernel", function_in_kernel(rank.pid),
                 ", as for a disk or a network file system that does not answer");
    default: return str("process ", rank.pid, " runs and does not answer");
  }
}

std::string wrapped(const std::vector<std::string>& names) {
  constexpr std::size_t width = 110;
  std::string text, line = "   ";
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string word = names[i] + (i + 1 < names.size() ? "," : "");
    if (line.size() > 3 && line.size() + 1 + word.size() > width) {
      text += "\n" + line;
      line = "   ";
    }
    line += " " + word;
  }
  return text + "\n" + line;
}

}  // namespace

bool all_have_answered(const Roll& roll, Roll::Time since) {
  return std::ranges::all_of(roll.ranks(), [&](const Roll::Rank& rank) {
    return !rank.connected || rank.activity.left || !rank.stack.empty() || rank.heard < since;
  });
}

std::string whereabouts(const Roll& roll) {
  const std::vector<Roll::Rank>& ranks = roll.ranks();
  const std::string this_host = this_machine().name;
  std::string text = "where they are, from the innermost function on:";
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    if (ranks[r].stack.empty()) {
      if (!ranks[r].activity.left) text += str("\n  rank ", r, ": ", state_text(ranks[r], this_host));
      continue;
    }
    std::vector<std::size_t> alike;
    for (std::size_t other = 0; other < ranks.size(); ++other)
      if (ranks[other].stack == ranks[r].stack) alike.push_back(other);
    if (alike.front() == r) text += "\n  " + ranks_text(alike, most_alike) + wrapped(ranks[r].stack);
  }
  return text;
}

}  // namespace tranche
