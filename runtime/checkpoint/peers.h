// The ranks that save or load together, and how they come to one outcome.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/base/error.h"

namespace tranche::checkpoint {

struct Peers {
  std::size_t rank = 0, size = 1;
  // Collective and blocking: every rank's text, rank by rank. The default is one rank alone.
  std::function<std::vector<std::string>(const std::string&)> gather_text = [](const std::string& mine) {
    return std::vector<std::string>{mine};
  };
};

// Collective. Runs `work` on every rank and gathers what they return, rank by rank. Where it throws on any rank, every
// rank throws: those that failed their own error, the others one with the same exit that names the first that failed.
std::vector<std::string> together(const Peers& peers, const std::function<std::string()>& work);

// Collective. The same with work that is rank 0's; every rank gets what it returned.
std::string rank_zero_does(const Peers& peers, const std::function<std::string()>& work);

}  // namespace tranche::checkpoint
