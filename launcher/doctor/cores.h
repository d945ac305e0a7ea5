// The processor's time that a process may take: by affinity, which taskset, Slurm and cpusets set, and by the quota of
// its control groups, which containers set.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <vector>

#include "launcher/doctor/finding.h"

namespace tranche::doctor {

struct Cores {
  std::size_t hardware = 1;           // threads of the hardware that are switched on
  std::vector<std::size_t> usable{};  // numbers of those that affinity leaves
  std::optional<double> quota{};      // so many threads' worth of time; none: all of it
};

Cores cores_of_this_process();

// The least that one of the process's control groups grants (version 2's cpu.max, version 1's cpu.cfs_quota_us).
// `membership` is a file like /proc/self/cgroup, `groups` where the file systems of control groups are.
std::optional<double> cpu_quota(const std::filesystem::path& membership = "/proc/self/cgroup",
                                const std::filesystem::path& groups = "/sys/fs/cgroup");

Finding judge_cores(const Cores& cores);

}  // namespace tranche::doctor
