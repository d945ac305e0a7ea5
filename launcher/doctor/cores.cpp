#include "launcher/doctor/cores.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "runtime/base/error.h"

namespace tranche::doctor {
namespace {

namespace fs = std::filesystem;

void lower(std::optional<double>& least, double quota) { least = least ? std::min(*least, quota) : quota; }

// "max 100000", or "150000 100000": microseconds of time in each period of so many.
void see_version_2(const fs::path& group, std::optional<double>& least) {
  std::ifstream file{group / "cpu.max"};
  if (double time = 0, period = 0; file >> time >> period && period > 0) lower(least, time / period);
}

// -1: no limit.
void see_version_1(const fs::path& group, std::optional<double>& least) {
  std::ifstream quota{group / "cpu.cfs_quota_us"}, each{group / "cpu.cfs_period_us"};
  if (double time = 0, period = 0; quota >> time && each >> period && time > 0 && period > 0)
    lower(least, time / period);
}

bool has_word(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

// What `see` sees of `group`, as of the root, and of all those that it lies in.
template <class See> void upwards(const fs::path& root, const fs::path& group, See see) {
  fs::path at;
  see(root);
  for (const fs::path& part : group.relative_path()) see(root / (at /= part));
}

}  // namespace

std::optional<double> cpu_quota(const fs::path& membership, const fs::path& groups) {
  std::optional<double> least;
  std::ifstream lines{membership};
  for (std::string line; std::getline(lines, line);) {  // "0::/a/b", or "4:cpu,cpuacct:/a/b"
    std::istringstream parts{line};
    std::string number, controllers, path;
    std::getline(std::getline(std::getline(parts, number, ':'), controllers, ':'), path);
    if (number == "0" && controllers.empty())
      upwards(groups, path, [&](const fs::path& group) { see_version_2(group, least); });
    if (!has_word(controllers, "cpu")) continue;
    for (const char* each : {"cpu", "cpu,cpuacct"})
      upwards(groups / each, path, [&](const fs::path& group) { see_version_1(group, least); });
  }
  return least;
}

Cores cores_of_this_process() {
  Cores cores{.hardware = static_cast<std::size_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))),
              .quota = cpu_quota()};
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
  for (std::size_t core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) cores.usable.push_back(core);
  return cores;
}

Finding judge_cores(const Cores& cores) {
  Finding finding{str(cores.usable.size(), " of the hardware's ", cores.hardware, " may be used")};
  if (cores.usable.size() < cores.hardware)
    advise(finding,
           "if that is less than was meant: ask for more (Slurm: --cpus-per-task, a container: --cpuset-cpus),"
           " or start without taskset");
  if (!cores.quota) return finding;
  finding.text += str(", with the time of ", *cores.quota, " (control group)");
  if (*cores.quota < static_cast<double>(cores.usable.size()))
    advise(finding, str("ranks go by the threads they may use, and stand still when their time is used up: raise the "
                        "quota (cpu.max, a container: --cpus), or export OMP_NUM_THREADS so that ranks times threads "
                        "are at most ",
                        std::max<std::size_t>(1, static_cast<std::size_t>(*cores.quota))));
  return finding;
}

}  // namespace tranche::doctor
