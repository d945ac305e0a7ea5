#include "compress/pruning.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "runtime/base/trace.h"
#include "runtime/ops/pruning.h"

namespace tranche::compress {
namespace {

const std::string progress_name = "pruning.progress";

}  // namespace

Pruning::Pruning(const PruningConfig& config, OptimizerPlacement& placement, const std::vector<Owned>& owned,
                 Communicator& holders, Schedule schedule)
    : config_(config), placement_(placement), holders_(holders), schedule_(std::move(schedule)) {
  if (!config.enabled) return;
  std::map<const PruningGroup*, std::size_t> shared;
  for (std::size_t unit = 0; unit < owned.size(); ++unit)
    for (const Parameter* each : owned[unit].unit->parameters()) {
      const PruningGroup* group = config.group_of(*each);
      if (group == nullptr) continue;
      const std::size_t mine = owned[unit].first, begin = std::max(each->offset, mine),
                        end = std::min(each->offset + each->shape.size(), mine + owned[unit].size);
      const bool alone = config.scope == PruningConfig::Scope::layer;
      const std::size_t pool = alone ? pools_.size() : shared.try_emplace(group, pools_.size()).first->second;
      if (pool == pools_.size()) pools_.push_back({.dense_ratio = group->dense_ratio});
      pools_[pool].elements += each->shape.size();
      parts_.push_back({unit, begin < end ? begin - mine : 0, begin < end ? end - begin : 0, pool, group});
    }
  placement.add_moment("pruned");
  kind_ = placement.kinds().size() - 1;
  placement.follow_with([this](const StatePiece& piece) { zero(piece); });
  if (config.by_scores()) {
    placement.add_moment("movement_scores");
    ranked_ = placement.kinds().size() - 1;
    order_ = ops::KeyOrder::value;
  }
  if (config.by_scores() || config.penalises())
    placement.precede_with([this](const StatePiece& piece) { learn(piece); });
}

void Pruning::begin_step(std::uint64_t updates) {
  if (config_.by_scores()) rate_ = static_cast<float>(schedule_(updates).rate);
}

// Movement first: a penalty is not what the data say.
void Pruning::learn(const StatePiece& piece) const {
  for (const Part& part : std::ranges::equal_range(parts_, piece.unit, {}, &Part::unit)) {
    const std::size_t begin = std::max(part.first, piece.first),
                      end = std::min(part.first + part.count, piece.first + piece.master.size());
    if (begin >= end) continue;
    const auto of = [&](const Tensor& whole) { return whole.view(begin - piece.first, {1, end - begin}); };
    if (config_.by_scores())
      ops::add_movement(rate_, of(piece.master), of(piece.gradient), of(piece.moments[ranked_ - 1]));
    if (part.group->l1 > 0 || part.group->l2 > 0)
      ops::add_penalty(static_cast<float>(part.group->l1), static_cast<float>(part.group->l2), of(piece.master),
                       of(piece.gradient));
  }
}

void Pruning::zero(const StatePiece& piece) const {
  if (progress_ == 0) return;
  ops::zero_where(piece.moments[kind_ - 1], piece.master);
  if (piece.rounded) ops::zero_where(piece.moments[kind_ - 1], piece.rounded);
}

bool Pruning::after_update(std::uint64_t updates) {
  const double progress = config_.progress_after(updates);
  if (progress <= progress_) return false;
  make_masks(progress);
  return true;
}

NamedNumbers Pruning::state() const {
  return config_.enabled ? NamedNumbers{{progress_name, progress_}} : NamedNumbers{};
}

void Pruning::restore(const NamedNumbers& numbers) {
  if (!config_.enabled) return;
  progress_ = number_of(numbers, progress_name);
  ensure(Exit::checkpoint, progress_ >= 0 && progress_ <= 1, "the checkpoint's ", progress_name, " is ", progress_,
         ", expected a number from 0 to 1");
}

void Pruning::make_masks(double progress) {
  const Doing frame{[] { return std::string{"making masks of pruned weights"}; }};
  const trace::Span span{trace::Kind::optimizer, "make masks"};
  mark(progress, config_.pattern ? std::vector<std::uint64_t>(parts_.size()) : ties_at_thresholds(progress));
  placement_.round();
  progress_ = progress;
}

// Finds each pool's threshold; returns how many elements that equal it go of each of this rank's parts.
std::vector<std::uint64_t> Pruning::ties_at_thresholds(double progress) {
  for (Pool& pool : pools_) {
    pool.threshold = 0;
    pool.left = static_cast<std::uint64_t>(
        std::llrint(config_.sparsity(pool.dense_ratio, progress) * static_cast<double>(pool.elements)));
  }
  std::vector<double> all;
  for (unsigned shift = 32; shift > 0;) {
    shift -= ops::key_digit_bits;
    const std::vector<std::uint64_t> mine = count_digit(shift);
    all = holders_.gather(std::vector<double>(mine.begin(), mine.end()), "counts of magnitudes");
    choose_digit(all);
  }
  return share_ties(all);
}

std::vector<std::uint64_t> Pruning::count_digit(unsigned shift) {
  std::vector<std::uint64_t> counts(parts_.size() * ops::key_digits);
  over_units([&](const Held& held) {
    for (std::size_t p = held.first; p < held.last; ++p) {
      const Part& part = parts_[p];
      if (part.count != 0)
        ops::count_keys(held.of(held.ranked, part), held.of(held.pruned, part), order_, pools_[part.pool].threshold,
                        shift, std::span{counts}.subspan(p * ops::key_digits, ops::key_digits));
    }
  });
  return counts;
}

// all: (ranks, parts, digits). The next digit of each threshold is the first up to which as many elements lie as go.
void Pruning::choose_digit(const std::vector<double>& all) {
  std::vector<std::uint64_t> sums(pools_.size() * ops::key_digits);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t part = i / ops::key_digits % parts_.size(), digit = i % ops::key_digits;
    sums[parts_[part].pool * ops::key_digits + digit] += static_cast<std::uint64_t>(all[i]);
  }
  for (std::size_t p = 0; p < pools_.size(); ++p) {
    Pool& pool = pools_[p];
    const std::uint64_t* counts = sums.data() + p * ops::key_digits;
    std::uint32_t digit = 0;
    for (; digit + 1 < ops::key_digits && counts[digit] < pool.left; ++digit) pool.left -= counts[digit];
    pool.threshold = pool.threshold << ops::key_digit_bits | digit;
  }
}

// all: (ranks, parts, digits), counts of the last digit. Slices lie in the order of ranks.
std::vector<std::uint64_t> Pruning::share_ties(const std::vector<double>& all) const {
  std::vector<std::uint64_t> left, mine(parts_.size());
  for (const Pool& pool : pools_) left.push_back(pool.left);
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const std::size_t pool = parts_[p].pool, digit = pools_[pool].threshold % ops::key_digits;
    for (std::size_t rank = 0; rank < holders_.size(); ++rank) {
      const double equal = all[(rank * parts_.size() + p) * ops::key_digits + digit];
      const std::uint64_t go = std::min(left[pool], static_cast<std::uint64_t>(equal));
      left[pool] -= go;
      if (rank == holders_.rank()) mine[p] = go;
    }
  }
  return mine;
}

void Pruning::mark(double progress, const std::vector<std::uint64_t>& ties) {
  over_units([&](const Held& held) {
    for (std::size_t p = held.first; p < held.last; ++p) {
      const Part& part = parts_[p];
      if (part.count == 0) continue;
      const Tensor ranked = held.of(held.ranked, part), pruned = held.of(held.pruned, part);
      if (const auto& pattern = config_.pattern)
        ops::prune_smallest(
            ranked, pruned, order_, pattern->of,
            static_cast<std::size_t>(std::llrint(progress * static_cast<double>(pattern->of - pattern->kept))));
      else
        ops::prune_below(ranked, pruned, order_, pools_[part.pool].threshold, ties[p]);
      ops::zero_where(pruned, held.of(held.masters, part));
    }
    placement_.give_back(0, held.unit, held.masters.span<const float>());
    placement_.give_back(kind_, held.unit, held.pruned.span<const float>());
  });
}

void Pruning::over_units(const std::function<void(const Held&)>& work) {
  for (std::size_t first = 0, last = 0; first < parts_.size(); first = last) {
    const std::size_t unit = parts_[first].unit;
    bool any = false;
    for (; last < parts_.size() && parts_[last].unit == unit; ++last) any = any || parts_[last].count != 0;
    if (!any) continue;
    const Tensor masters = placement_.borrow(0, unit);
    work({unit, first, last, masters, placement_.borrow(kind_, unit),
          ranked_ == 0 ? masters : placement_.borrow(ranked_, unit)});
  }
}

}  // namespace tranche::compress
