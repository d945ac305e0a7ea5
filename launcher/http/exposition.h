// What a run's supervisor knows, for Prometheus and for the page.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "launcher/control/roll.h"
#include "runtime/base/json.h"

namespace tranche {

struct RunStatus {
  std::string run;           // its directory
  std::string state;         // "running", "waiting to start again", "stopping"
  std::size_t ranks = 0;     // of the newest start
  std::size_t restarts = 0;  // so far
  std::size_t dropped = 0;   // connections to the control channel that were no rank's
  std::size_t refused = 0;   // requests to the page that lacked its token; the page adds it
  const Roll* roll = nullptr;
  std::vector<std::string> events{};  // that the supervisor told, the newest last
  std::size_t steps = 0;              // of the job, from its start to its end
  std::size_t tokens_per_step = 0;
};

// What each rank said of its steps' time and its memory: a list of {"seconds": {kind: of a step}, "bytes": {tier:
// {category: at most}}}, by rank.
Json figures_of_ranks(const Roll& roll);
// Where the supervisor leaves them in a run's directory.
inline constexpr const char* ranks_file = "ranks.json";

// JSON of the page's "status" event, in one line.
std::string status_text(const RunStatus& status, Roll::Time now);

// Prometheus' text format, version 0.0.4: gauges of the last step in `metrics_line` ("" before the first) and of the
// ranks, and counters of this supervisor.
std::string exposition(const RunStatus& status, const std::string& metrics_line, Roll::Time now);

}  // namespace tranche
