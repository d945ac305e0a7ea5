// A few arrangements in which every pair of settings occurs.
#pragma once

#include <cstddef>
#include <set>
#include <utility>
#include <vector>

namespace tranche::testing {

// Rows of level numbers, one for each factor, such that any two levels of any two factors meet in some row. Greedy:
// each row takes the candidate that covers most of what is left. The first row is all zeros.
inline std::vector<std::vector<std::size_t>> pairwise(const std::vector<std::size_t>& levels) {
  std::vector<std::vector<std::size_t>> all{{}};
  for (const std::size_t count : levels) {
    std::vector<std::vector<std::size_t>> longer;
    for (const auto& row : all)
      for (std::size_t level = 0; level < count; ++level) {
        longer.push_back(row);
        longer.back().push_back(level);
      }
    all = std::move(longer);
  }
  using Pair = std::pair<std::pair<std::size_t, std::size_t>, std::pair<std::size_t, std::size_t>>;
  const auto pairs_of = [](const std::vector<std::size_t>& row) {
    std::vector<Pair> pairs;
    for (std::size_t a = 0; a < row.size(); ++a)
      for (std::size_t b = a + 1; b < row.size(); ++b) pairs.push_back({{a, row[a]}, {b, row[b]}});
    return pairs;
  };
  std::set<Pair> left;
  for (const auto& row : all)
    for (const Pair& pair : pairs_of(row)) left.insert(pair);

  std::vector<std::vector<std::size_t>> chosen;
  while (!left.empty()) {
    std::size_t best = 0, most = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::size_t covered = 0;
      for (const Pair& pair : pairs_of(all[i])) covered += left.count(pair);
      if (covered > most) {
        most = covered;
        best = i;
      }
      if (chosen.empty()) break;  // the plain arrangement comes first
    }
    for (const Pair& pair : pairs_of(all[best])) left.erase(pair);
    chosen.push_back(all[best]);
  }
  return chosen;
}

}  // namespace tranche::testing
