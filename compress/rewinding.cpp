#include "compress/rewinding.h"

#include <algorithm>

#include "runtime/base/trace.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/pruning.h"

namespace tranche::compress {

RewoundWeights::RewoundWeights(const PruningConfig& config, OptimizerPlacement& placement,
                               const std::vector<Owned>& owned, std::size_t own)
    : config_(config), placement_(placement), units_(owned.size()), own_(own) {
  if (!config.enabled || !config.rewinding.of_weights()) return;
  const std::vector<std::string>& kinds = placement.kinds();
  const auto mask = std::ranges::find(kinds, "pruned");
  check(mask != kinds.end(), "RewoundWeights: there is no mask");
  mask_ = static_cast<std::size_t>(mask - kinds.begin());
  placement.add_moment("rewind_weights");
  kept_ = kinds.size() - 1;
}

void RewoundWeights::begin_after(std::uint64_t updates) {
  if (kept_ == 0 || updates != config_.rewinding.to) return;
  const Doing frame{[] { return std::string{"keeping the weights to rewind to"}; }};
  for (std::size_t unit = 0; unit < units_; ++unit) {
    const Tensor masters = placement_.borrow(0, unit), kept = placement_.borrow(kept_, unit);
    ops::convert(masters, kept);
    placement_.give_back(kept_, unit, kept.span<const float>());
  }
}

bool RewoundWeights::after_update(std::uint64_t updates) {
  begin_after(updates);
  if (kept_ == 0 || config_.rewinding.last_before(updates, config_.offset) != updates) return false;
  rewind();
  return true;
}

void RewoundWeights::rewind() {
  const Doing frame{[] { return std::string{"rewinding weights"}; }};
  const trace::Span span{trace::Kind::optimizer, "rewind weights"};
  for (std::size_t unit = 0; unit < units_; ++unit) {
    const Tensor masters = placement_.borrow(0, unit);
    ops::convert(placement_.borrow(kept_, unit), masters);
    ops::zero_where(placement_.borrow(mask_, unit), masters);
    placement_.give_back(0, unit, masters.span<const float>());
    for (std::size_t kind = 1; kind <= own_; ++kind) {
      const Tensor moment = placement_.borrow(kind, unit);
      moment.fill_zero();
      placement_.give_back(kind, unit, moment.span<const float>());
    }
  }
  placement_.round();
}

Schedule rewound(const PruningConfig& config, Schedule schedule) {
  return [&config, schedule = std::move(schedule)](std::uint64_t updates) {
    return schedule(config.scheduled_after(updates));
  };
}

}  // namespace tranche::compress
