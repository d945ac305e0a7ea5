// What the ranks that `tranche doctor` starts tell of themselves, on its way from rank 0 to the doctor as one line of
// text, and what is to be thought of it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "launcher/doctor/cores.h"
#include "launcher/doctor/finding.h"

namespace tranche::doctor {

struct RankReport {
  std::string host;
  Cores cores;
  std::size_t threads = 1;  // that it would compute with
  double rate = 0;          // bytes a second at which broadcasts come from it and to it, the middle one
};

struct RanksReport {
  std::string mpi, thread_level;  // the library, and how threads may use it
  std::vector<RankReport> ranks;
  std::size_t row = 0;    // bytes that each gives to the all_gather
  double all_gather = 0;  // bytes that a rank receives in a second, in the best of some
  double latency = 0;     // seconds that an all_gather of a number takes, the middle one
};

std::string line_of(const RanksReport& report);
// Among the lines of `output`, which may be others' too; none if it is not there.
std::optional<RanksReport> find_report(const std::string& output);

Finding judge_mpi(const RanksReport& report);
Finding judge_threads(const RanksReport& report);
Finding judge_links(const RanksReport& report);
// "node-a (4), node-b (4)"
std::string hosts_text(const RanksReport& report);

// Of one rank, as rank 0 is told of it.
std::string text_of(const RankReport& rank);
RankReport read_rank(const std::string& text);

}  // namespace tranche::doctor
