#include "compress/step_sizes.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "runtime/nn/unit.h"
#include "runtime/ops/reduce.h"

namespace tranche::compress {
namespace {

const std::string suffix = ".step_sizes";

// Of one group's weights, those within one block of the flat layout.
struct Piece {
  std::size_t group;
  std::size_t first, last;  // of the flat layout
};

// In the order of the layout.
std::vector<Piece> pieces_of(const Parameter& weight, const ops::QuantizationGrid& grid) {
  std::vector<Piece> pieces;
  for (std::size_t row = 0, group = 0; row < grid.rows; ++row)
    for (std::size_t col = 0; col < grid.cols; col += grid.group, ++group) {
      std::size_t at = weight.offset + row * grid.cols + col;
      const std::size_t end = at + std::min(grid.group, grid.cols - col);
      while (at < end) {
        const std::size_t last = std::min(end, (at / ops::block + 1) * ops::block);
        pieces.push_back({group, at, last});
        at = last;
      }
    }
  return pieces;
}

double sum_of_magnitudes(std::span<const float> values) {
  double sum = 0;
  for (const float each : values) sum += std::fabs(double{each});
  return sum;
}

}  // namespace

bool is_step_sizes(const std::string& name) { return name.ends_with(suffix); }

void StepSizes::join(std::deque<Unit>& units) {
  for (Unit& unit : units) {
    const std::vector<Parameter*> weights = unit.parameters();
    for (const Parameter* weight : weights) {
      const std::size_t count = count_of_(*weight);
      if (count == 0) continue;
      Parameter& steps = parameters_.emplace_back(Parameter{weight->name + suffix_, {count}, Initial::zeros()});
      unit.join(steps);
      by_weight_[weight] = &steps;
    }
  }
}

const Parameter* StepSizes::of(const Parameter& weight) const {
  const auto found = by_weight_.find(&weight);
  return found == by_weight_.end() ? nullptr : found->second;
}

StepSizes steps_of_weights(const WeightQuantization& config) {
  return {suffix, [&config](const Parameter& weight) {
            const bool learned = config.learned_steps && config.group_of(weight) != nullptr;
            return learned ? config.grid_of(weight).parameters() : 0;
          }};
}

bool StepSizesBegin::begin_after(std::uint64_t updates) {
  if (!config_.enabled || !config_.learned_steps || updates != config_.offset) return false;
  const Doing frame{[] { return std::string{"choosing the first step sizes"}; }};
  for (const Owned& owned : owned_)
    for (const Parameter* weight : owned.unit->parameters())
      if (const Parameter* steps = steps_.of(*weight)) begin(*weight, *steps, owned);
  return true;
}

bool StepSizesBegin::after_update(std::uint64_t updates) {
  if (!begin_after(updates)) return false;
  placement_.round();
  return true;
}

// Of the pieces that this rank owns: slices begin at blocks.
std::vector<double> StepSizesBegin::sums_of_magnitudes(const Parameter& weight, const Owned& owned) const {
  std::vector<double> sums;
  const Tensor masters = placement_.borrow(0, owned.unit->index());
  for (const Piece& piece : pieces_of(weight, config_.grid_of(weight)))
    if (piece.first >= owned.first && piece.last <= owned.first + owned.size)
      sums.push_back(
          sum_of_magnitudes(masters.span<const float>().subspan(piece.first - owned.first, piece.last - piece.first)));
  return sums;
}

void StepSizesBegin::begin(const Parameter& weight, const Parameter& steps, const Owned& owned) const {
  const ops::QuantizationGrid grid = config_.grid_of(weight);
  // Rank by rank, and slices lie in the order of ranks.
  const std::vector<double> sums = holders_.gather(sums_of_magnitudes(weight, owned), "magnitudes of weights");
  const std::vector<Piece> pieces = pieces_of(weight, grid);
  check(sums.size() == pieces.size(), weight.name, ": ", sums.size(), " sums of ", pieces.size(), " pieces");
  std::vector<double> totals(grid.parameters()), counts(grid.parameters());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    totals[pieces[i].group] += sums[i];
    counts[pieces[i].group] += static_cast<double>(pieces[i].last - pieces[i].first);
  }
  const std::size_t begin = std::max(steps.offset, owned.first),
                    end = std::min(steps.offset + steps.shape.size(), owned.first + owned.size);
  if (begin >= end) return;
  const std::size_t bits = config_.group_of(weight)->target_bits;
  const double highest = std::exp2(static_cast<double>(bits) - 1) - 1;
  const Tensor masters = placement_.borrow(0, owned.unit->index());
  for (std::size_t at = begin; at < end; ++at) {
    const std::size_t group = at - steps.offset;
    masters.span<float>()[at - owned.first] = static_cast<float>(
        bits == 1 ? totals[group] / counts[group] : 2 * totals[group] / counts[group] / std::sqrt(highest));
  }
  placement_.give_back(0, owned.unit->index(), masters.span<const float>());
}

}  // namespace tranche::compress
