// How many bytes a rank needs for parameters, gradients and optimizer state: arithmetic only. docs/numerics.md derives
// it; tests/bench/memory_table compares it with what a run measures. The planner does not use it (launcher/plan.h):
// this is the independent check of the derivation.
#pragma once

#include <cstddef>
#include <vector>

#include "partition/config.h"
#include "runtime/nn/seams.h"

namespace tranche {

// A unit as the plan sees it, in the order of the forward.
struct PlannedUnit {
  std::size_t size = 0;               // elements, without padding
  std::vector<std::size_t> leased{};  // units whose parameters its forward also uses
};

struct StatePlan {
  ZeroConfig zero;
  std::size_t ranks = 1;
  Precision precision;
  std::size_t optimizer_bytes = 8;  // of state for each parameter: two float32 moments
  std::size_t reduction_block = 1;
};

// Bytes on each rank, padding included.
struct StateBytes {
  std::size_t parameters = 0, gradients = 0, optimizer = 0;  // that stay through a backward
  std::size_t in_flight = 0;                                 // and the most that is there beside them at one moment
  std::size_t total() const { return parameters + gradients + optimizer + in_flight; }
};

// For a step of at least two rounds, from the second step on, when gathers run ahead.
StateBytes state_bytes(const StatePlan& plan, const std::vector<PlannedUnit>& units);

// The share of `total` that the formulas of ZeRO give for P parameters: 18P; 2P + 16P/N; 2P + 16P/N; 18P/N with half
// precision, and 4 for each 2 + 4 with float32. Without padding and units in flight.
std::size_t ideal_state_bytes(const StatePlan& plan, std::size_t parameters);

}  // namespace tranche
