// How quickly bytes go between the ranks, by the collectives that training uses.
#pragma once

#include <cstddef>
#include <vector>

namespace tranche {
class Session;
}

namespace tranche::doctor {

// The same on every rank.
struct Links {
  std::size_t row = 0;          // bytes that each rank gives
  double all_gather = 0;        // bytes that a rank receives in a second, in the best of some
  double latency = 0;           // seconds that an all_gather of a number takes, the middle one
  std::vector<double> rates{};  // by rank: bytes a second at which broadcasts come from it and to it, the middle one
};

// Collective. Some seconds at most.
Links measure_links(Session& session);

}  // namespace tranche::doctor
