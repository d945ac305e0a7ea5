// Where an update leaves the sums of what it passes: arrays for three kinds of state and a working copy.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/base/round.h"
#include "runtime/ops/optimizer.h"

namespace tranche::ops {

struct SumArrays {
  // Of runs of `run` of `elements`.
  SumArrays(std::size_t run, std::size_t elements) : working(pieces_of(elements, run)) {
    found.fill(working);
    left.fill(working);
    sums.run = run;
    sums.working = working.data();
    for (std::size_t kind = 0; kind < found.size(); ++kind) {
      sums.found[kind] = found[kind].data();
      sums.left[kind] = left[kind].data();
    }
  }
  SumArrays(const SumArrays&) = delete;
  SumArrays& operator=(const SumArrays&) = delete;

  std::vector<std::uint64_t> working;
  std::array<std::vector<std::uint64_t>, PassedSums::most_kinds> found, left;
  PassedSums sums;
};

}  // namespace tranche::ops
