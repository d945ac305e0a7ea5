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
};

// N:M: of each `of` weights of a row, one group after another, `kept` are left.
struct BlockPattern {
  std::size_t kept = 2, of = 4;
};

struct PruningConfig {
  bool enabled = false;
  enum class Method : std::uint8_t { l1, l2 };  // of single weights the same
  enum class Scope : std::uint8_t { layer, global };
  Method method = Method::l1;
  Scope scope = Scope::layer;        // whose weights are compared: a tensor's, or all of a group's
  std::size_t offset = 1000;         // updates before it begins
  std::optional<std::size_t> end{};  // after which the target is reached; none: at once
  std::size_t stride = 1;            // updates between two masks
  std::optional<BlockPattern> pattern{};
  Modules excluded{{}};
  std::vector<PruningGroup> by_modules{};

  void declare(Section& sparse_pruning);
  // Reads groups and pattern, once everything is loaded. Throws Exit::job_file for what they cannot say.
  void complete(const Source& source);
  // Throws Exit::job_file if a group contains no weight of these units, or the pattern does not divide one.
  void check(const std::deque<Unit>& units) const;

  const PruningGroup* group_of(const Parameter& parameter) const;  // the first that contains it; null: none
  // Which part of the way from nothing to the target is gone after so many updates: 1 - (1 - t)^3, t from 0 to 1
  // (Zhu, Gupta 2017, equation 1, with an initial sparsity of 0).
  double progress_after(std::uint64_t updates) const;
  std::uint64_t settled_after() const { return enabled ? end.value_or(offset) : 0; }

 private:
  Json groups_ = Json::object(), excluded_ = Json::array();
  std::optional<std::string> pattern_{};
};

}  // namespace tranche::compress
