// What a job file says about pruning of single weights: DeepSpeed's section `compression_training.sparse_pruning`.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "compress/groups.h"

namespace tranche::compress {

struct PruningGroup {
  Modules modules{};
  double dense_ratio = 1;  // that is left at the end, 0 < dense_ratio <= 1
  double l1 = 0, l2 = 0;   // what each weight's gradient gets: l1 sign(w) + l2 w
};

// N:M: of each `of` weights of a row, one group after another, `kept` are left.
struct BlockPattern {
  std::size_t kept = 2, of = 4;
};

// Iterative pruning (Frankle, Carbin 2019): train `first` updates, prune a part, go back to where `to` updates had been
// done, train on from there, and so on for `rounds` rounds.
struct Rewinding {
  enum class What : std::uint8_t { weights, learning_rate };  // the latter: weights stay (Renda et al. 2020)
  std::size_t rounds = 0;                                     // 0: pruning goes on without going back
  What what = What::weights;
  std::size_t to = 0;

  bool of_weights() const { return rounds > 0 && what == What::weights; }
  // How many of them have ended after so many updates, the first after `first`.
  std::uint64_t ended_after(std::uint64_t updates, std::uint64_t first) const;
  // The last update that was followed by going back; none yet: nothing.
  std::optional<std::uint64_t> last_before(std::uint64_t updates, std::uint64_t first) const;
};

struct PruningConfig {
  bool enabled = false;
  // l1, l2: by magnitude, of single weights the same; topk: by scores that follow where updates take weights.
  enum class Method : std::uint8_t { l1, l2, topk };
  enum class Scope : std::uint8_t { layer, global };
  Method method = Method::l1;
  Scope scope = Scope::layer;        // whose weights are compared: a tensor's, or all of a group's
  std::size_t offset = 1000;         // updates before it begins
  std::optional<std::size_t> end{};  // after which the target is reached; none: at once
  std::size_t stride = 1;            // updates between two masks
  std::optional<BlockPattern> pattern{};
  Rewinding rewinding{};
  Modules excluded{{}};
  std::vector<PruningGroup> by_modules{};

  bool by_scores() const { return enabled && method == Method::topk; }
  bool penalises() const;
  void declare(Section& sparse_pruning);
  // Reads groups and pattern, once everything is loaded. Throws Exit::job_file for what they cannot say.
  void complete(const Source& source);
  // Throws Exit::job_file if a group contains no weight of these units, or the pattern does not divide one.
  void check(const std::deque<Unit>& units) const;

  const PruningGroup* group_of(const Parameter& parameter) const;  // the first that contains it; null: none
  // Which part of the way from nothing to the target is gone after so many updates: 1 - (1 - t)^3, t from 0 to 1
  // (Zhu, Gupta 2017, equation 1, with an initial sparsity of 0).
  double progress_after(std::uint64_t updates) const;
  std::uint64_t settled_after() const;
  // Which part of a group's weights is gone then.
  double sparsity(double dense_ratio, double progress) const;
  // The number of updates by which a schedule of rates goes, after so many.
  std::uint64_t scheduled_after(std::uint64_t updates) const;
  // And how many the optimizer has done with the moments that it has: rewound weights begin with none.
  std::uint64_t counted_after(std::uint64_t updates) const;

 private:
  Json groups_ = Json::object(), excluded_ = Json::array();
  std::optional<std::string> pattern_{};
};

}  // namespace tranche::compress
