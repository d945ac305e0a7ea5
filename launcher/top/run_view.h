// What is known of a run from outside: lines of its metrics.jsonl, and what its page says of its ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/control/pace.h"
#include "runtime/base/json.h"

namespace tranche {

using BytesByName = std::map<std::string, double>;

// One line of metrics.jsonl. What is not finite there is NaN or an infinity here.
struct StepShown {
  std::uint64_t step = 0;
  double loss = 0, learning_rate = 0, gradient_norm = 0, loss_scale = 1, tokens_per_second = 0;
  double saving_seconds = 0;
  bool skipped = false;
};

// What a rank said last; "-" for what nobody knows.
struct RankShown {
  std::string host = "-", step = "-", phase = "-", collective = "-", heard = "-";
  Pace::Seconds seconds{};                     // of a step, by kind
  std::map<std::string, BytesByName> bytes{};  // most held, by tier and category
};

struct RunView {
  static constexpr std::size_t most_steps = 100'000;  // of which the newest are kept

  std::string run;    // its directory
  std::string state;  // one or a few words
  bool well = true;   // whether that is as it should be
  std::uint64_t restarts = 0;
  std::uint64_t steps_in_all = 0;  // 0: unknown
  double tokens_per_step = 0;      // 0: unknown
  std::vector<StepShown> steps{};
  BytesByName bytes_of_rank_0{};  // by category, of the last step
  std::vector<RankShown> ranks{};
  std::vector<std::string> events{};  // that the supervisor told, the newest last

  // A line of metrics.jsonl. A step that was done before is done again: it and later ones are forgotten. Throws
  // Exit::data, naming `where`, for what is no such line.
  void add_line(std::string_view line, const std::string& where);
  // What the page says under /health and in its "status" events. Throws as above.
  void set_status(std::string_view json, const std::string& where);
  // ranks.json, which launch leaves in a run's directory. Throws as above.
  void set_figures(const Json& figures, const std::string& where);
};

}  // namespace tranche
