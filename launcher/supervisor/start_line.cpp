#include "launcher/supervisor/start_line.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "runtime/base/error.h"

namespace tranche {
namespace {

using Words = std::vector<std::string>;

void append(Words& words, std::initializer_list<std::string> more) { words.insert(words.end(), more); }

Words mpirun_line(const Place& place, std::size_t ranks) {
  Words words{place.program, "-np", str(ranks)};
  if (place.root) words.emplace_back("--allow-run-as-root");
  if (!place.hosts.empty()) {
    std::string hosts;
    for (const Host& host : place.hosts) hosts += str(hosts.empty() ? "" : ",", host.name, ":", host.slots);
    append(words, {"--host", hosts});
  }
  // Ranks divide their host's cores among themselves (Session::threads_of), which a binding would keep them from. Where
  // they outnumber the cores, one that waits must let the others compute.
  append(words, {"--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"});
  // A host that has gone is noticed after six seconds instead of never.
  for (const auto& [name, value] : {std::pair{"time", "2"}, {"intvl", "1"}, {"probes", "3"}})
    append(words, {"--mca", str("oob_tcp_keepalive_", name), value});
  for (const std::string& variable : place.passed) append(words, {"-x", variable});
  return words;
}

Words srun_line(const Place& place, std::size_t ranks) {
  Words words;
  if (!place.passed.empty()) words.emplace_back("env");
  words.insert(words.end(), place.passed.begin(), place.passed.end());
  append(words, {place.program, "--mpi=pmix", str("--ntasks=", ranks), "--kill-on-bad-exit=1"});
  if (place.cores_of_each != 0) words.push_back(str("--cpus-per-task=", place.cores_of_each));
  return words;
}

std::string quoted(const std::string& word) {
  const auto plain = [](char c) {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') ||
           (c != '\0' && std::strchr("_@%+=:,./-", c) != nullptr);
  };
  if (!word.empty() && std::ranges::all_of(word, plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return text + "'";
}

}  // namespace

Place find_place(const std::string& mpirun, std::vector<Host> hosts) {
  Place place;
  place.hosts = std::move(hosts);
  place.root = ::geteuid() == 0;
  for (const char* name : {"OMP_NUM_THREADS", "HDF5_USE_FILE_LOCKING", "TRANCHE_INSTRUCTIONS"})
    if (const char* value = std::getenv(name)) place.passed.push_back(str(name, "=", value));
  if (std::getenv("SLURM_JOB_ID") != nullptr && mpirun.empty() && place.hosts.empty()) {
    place.starter = Starter::srun;
    place.program = "srun";
    // srun does not take it from the batch script by itself.
    if (const char* cores = std::getenv("SLURM_CPUS_PER_TASK")) place.cores_of_each = std::strtoul(cores, nullptr, 10);
  } else if (!mpirun.empty()) {
    place.program = mpirun;
  }
  return place;
}

Words start_line(const Place& place, std::size_t ranks, const Words& command) {
  Words words = place.starter == Starter::srun ? srun_line(place, ranks) : mpirun_line(place, ranks);
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

std::string shell_line(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += str(line.empty() ? "" : " ", quoted(word));
  return line;
}

}  // namespace tranche
