#include "tests/partition/memory_plan.h"

#include <algorithm>

#include "partition/shard_plan.h"

namespace tranche {
namespace {

constexpr std::size_t sum_bytes = 4;  // gradients are summed in float32

struct Bytes {
  std::size_t working, owned;
};  // for each parameter
Bytes bytes_for_each(const StatePlan& plan) {
  return {bytes_of(plan.precision.working), plan.optimizer_bytes + (plan.precision.keeps_master() ? 4 : 0)};
}

std::size_t flat_of(const StatePlan& plan, const PlannedUnit& unit) { return Slicing{unit.size, plan.ranks}.padded(); }

// One backward, last unit first, as visits go (runtime/nn/unit.cpp): a visit has its units' values, and with overlap
// the next one's; a gradient is there from the first visit that contributes to it until the last has left and, with
// overlap, until the next one is reduced.
std::size_t most_in_flight(const StatePlan& plan, const std::vector<PlannedUnit>& units) {
  const std::size_t working = bytes_for_each(plan).working;
  const bool divided = plan.ranks > 1, gathers = divided && plan.zero.stage == 3;
  const bool waits = divided && plan.zero.overlap() && plan.reduction_block == 1;
  const auto bytes = [&](std::size_t u) { return flat_of(plan, units[u]) * working; };
  const auto visited = [&](std::size_t u) {
    std::vector<std::size_t> all{u};
    all.insert(all.end(), units[u].leased.begin(), units[u].leased.end());
    return all;
  };

  std::vector<std::size_t> awaited(units.size());
  for (std::size_t u = 0; u < units.size(); ++u)
    for (const std::size_t each : visited(u)) ++awaited[each];

  std::vector<bool> opened(units.size());
  std::size_t gradients = 0, most = 0;
  std::size_t waiting = waits ? bytes(0) : 0;  // of the micro-batch before, until this one reduces its first
  for (std::size_t u = units.size(); u-- > 0;) {
    std::size_t values = 0;
    for (const std::size_t each : visited(u)) {
      values += bytes(each);
      if (!opened[each]) gradients += bytes(each);
      opened[each] = true;
    }
    if (u > 0 && plan.zero.overlap() && units[u - 1].size <= plan.zero.prefetch_bucket_size) {
      const std::vector<std::size_t> here = visited(u);
      if (std::ranges::find(here, u - 1) == here.end()) values += bytes(u - 1);
    }
    most = std::max(most, (gathers ? values : 0) + gradients + waiting);
    for (const std::size_t each : visited(u))
      if (--awaited[each] == 0) {
        gradients -= bytes(each);
        waiting = waits ? bytes(each) : 0;
      }
  }
  return most;
}

// Stage 0 gathers the sums unit by unit; the slice that is gathered is there until its whole is.
std::size_t most_while_gathering_sums(const StatePlan& plan, const std::vector<PlannedUnit>& units) {
  std::size_t most = 0, live = 0;
  for (const PlannedUnit& unit : units) live += flat_of(plan, unit) / plan.ranks * sum_bytes;
  for (const PlannedUnit& unit : units) {
    live += flat_of(plan, unit) * sum_bytes;
    most = std::max(most, live);
    live -= flat_of(plan, unit) / plan.ranks * sum_bytes;
  }
  return most;
}

}  // namespace

StateBytes state_bytes(const StatePlan& plan, const std::vector<PlannedUnit>& units) {
  std::size_t all = 0;
  for (const PlannedUnit& unit : units) all += flat_of(plan, unit);
  const std::size_t mine = all / plan.ranks;
  const Bytes each = bytes_for_each(plan);
  StateBytes bytes{.parameters = (plan.zero.stage == 3 ? mine : all) * each.working,
                   .gradients = mine * sum_bytes + (plan.reduction_block > 1 ? all * sum_bytes : 0),
                   .optimizer = (plan.zero.stage == 0 ? all : mine) * each.owned,
                   .in_flight = most_in_flight(plan, units)};
  if (plan.zero.stage == 0 && plan.ranks > 1) {
    const std::size_t at_the_end = most_while_gathering_sums(plan, units);
    if (at_the_end > bytes.gradients + bytes.in_flight) {
      bytes.gradients = all * sum_bytes;
      bytes.in_flight = at_the_end - bytes.gradients;
    }
  }
  return bytes;
}

std::size_t ideal_state_bytes(const StatePlan& plan, std::size_t parameters) {
  const Bytes each = bytes_for_each(plan);
  const std::size_t whole = parameters * each.working, rest = parameters * (sum_bytes + each.owned);
  const std::size_t local = plan.reduction_block > 1 ? parameters * sum_bytes : 0;
  switch (plan.zero.stage) {
    case 0: return whole + rest + local;
    case 3: return (whole + rest) / plan.ranks;
    default: return whole + rest / plan.ranks + local;
  }
}

}  // namespace tranche
