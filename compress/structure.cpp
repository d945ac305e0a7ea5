#include "compress/structure.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compress/block_names.h"
#include "compress/step_sizes.h"
#include "runtime/base/error.h"

namespace tranche::compress {
namespace {

using Numbers = std::vector<std::size_t>;

Numbers all_of(std::size_t count) {
  Numbers all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

std::size_t part_of(std::size_t count, double part) {
  const auto nearest = static_cast<std::size_t>(std::nearbyint(static_cast<double>(count) * part));
  return std::clamp<std::size_t>(nearest, 1, count);
}

// One feature among those that compete.
struct Candidate {
  std::string name;
  std::size_t number;
  double score;
};

void sort_by_score(std::vector<Candidate>& candidates) {
  std::ranges::stable_sort(candidates, std::greater{}, &Candidate::score);
}

void check_scores(const std::string& name, const std::vector<double>& scores, std::size_t count) {
  check(scores.size() == count, name, ": ", scores.size(), " scores for ", count);
  for (std::size_t i = 0; i < count; ++i)
    ensure(Exit::numerics, std::isfinite(scores[i]), "the importance of ", name, " ", i, " is ", scores[i],
           ": the model has values that are not finite, or computes them");
}

// The features of one kind in the blocks that are left, best first, for each name.
std::vector<std::vector<Candidate>> candidates_of(const Dependencies& dependencies, FeatureKind kind,
                                                  const Scores& scores, const Cut& cut) {
  std::vector<std::vector<Candidate>> all;
  for (const auto& [name, each] : dependencies) {
    if (each.kind != kind || !cut.name_after(name)) continue;
    const std::vector<double>& score = scores.at(name);
    check_scores(name, score, each.count);
    std::vector<Candidate>& mine = all.emplace_back();
    for (std::size_t i = 0; i < each.count; ++i) mine.push_back({name, i, score[i]});
    sort_by_score(mine);
  }
  return all;
}

void keep(std::span<const Candidate> candidates, Cut& cut) {
  for (const Candidate& each : candidates) {
    Numbers& numbers = cut.features[each.name];
    numbers.insert(std::ranges::upper_bound(numbers, each.number), each.number);
  }
}

void keep_in_each(const std::vector<std::vector<Candidate>>& candidates, double part, Cut& cut) {
  for (const std::vector<Candidate>& each : candidates) keep(std::span{each}.first(part_of(each.size(), part)), cut);
}

// The best of each name is certain to stay.
void keep_in_all(const std::vector<std::vector<Candidate>>& candidates, double part, Cut& cut) {
  std::vector<Candidate> others;
  for (const std::vector<Candidate>& each : candidates) {
    keep(std::span{each}.first(1), cut);
    others.insert(others.end(), each.begin() + 1, each.end());
  }
  const std::size_t left = part_of(others.size() + candidates.size(), part);
  sort_by_score(others);
  keep(std::span{others}.first(left - std::min(left, candidates.size())), cut);
}

// Entries of a dimension that are left, rising.
Numbers entries_left(const Features& features, const Cut& cut) {
  const auto found = cut.features.find(features.name);
  if (found == cut.features.end()) return all_of(features.entries());
  Numbers entries;
  for (const Strip& strip : features.strips)
    for (const std::size_t feature : found->second)
      for (std::size_t k = 0; k < strip.each; ++k) entries.push_back(strip.first + feature * strip.each + k);
  return entries;
}

}  // namespace

Dependencies dependencies_of(const std::deque<Unit>& units) {
  Dependencies all;
  for (const Unit& unit : units)
    for (const Parameter* each : unit.parameters()) {
      if (is_step_sizes(each->name)) continue;  // of quantization, which a smaller model does not take over
      check(each->features.size() == each->shape.dimensions(), each->name, " does not say what its dimensions are");
      for (std::size_t dimension = 0; dimension < each->features.size(); ++dimension) {
        const Features& features = each->features[dimension];
        Dependents& dependents =
            all.try_emplace(features.name, Dependents{features.kind, features.count}).first->second;
        check(dependents.count == features.count && each->shape[dimension] == features.entries(), each->name, " has ",
              features.count, " ", features.name, ", others have ", dependents.count);
        dependents.places.push_back({each, dimension});
      }
    }
  return all;
}

std::string Cut::name_before(const std::string& after) const {
  const auto number = block_of(after);
  return number ? in_block(after, blocks.at(*number)) : after;
}

std::optional<std::string> Cut::name_after(const std::string& before) const {
  const auto number = block_of(before);
  if (!number) return before;
  const auto found = std::ranges::find(blocks, *number);
  if (found == blocks.end()) return std::nullopt;
  return in_block(before, static_cast<std::size_t>(found - blocks.begin()));
}

Cut choose_cut(const Dependencies& dependencies, std::size_t blocks, const Scores& scores, const Parts& parts) {
  Cut cut{.blocks = all_of(blocks)};
  if (parts.blocks) {
    const std::vector<double>& score = scores.at(blocks_name);
    check_scores(blocks_name, score, blocks);
    std::ranges::stable_sort(cut.blocks, std::greater{}, [&](std::size_t block) { return score[block]; });
    cut.blocks.resize(part_of(blocks, *parts.blocks));
    std::ranges::sort(cut.blocks);
  }
  for (const auto& [kind, part] : {std::pair{FeatureKind::heads, parts.heads}, {FeatureKind::neurons, parts.neurons}}) {
    if (!part) continue;
    const auto candidates = candidates_of(dependencies, kind, scores, cut);
    if (parts.scope == Scope::model)
      keep_in_all(candidates, *part, cut);
    else
      keep_in_each(candidates, *part, cut);
  }
  return cut;
}

std::vector<float> values_left(const Parameter& before, std::span<const float> values, const Cut& cut) {
  const bool has_rows = before.features.size() == 2;
  const Numbers rows = has_rows ? entries_left(before.features.front(), cut) : Numbers{0};
  const Numbers cols = entries_left(before.features.back(), cut);
  std::vector<float> left;
  left.reserve(rows.size() * cols.size());
  for (const std::size_t row : rows)
    for (const std::size_t col : cols) left.push_back(values[row * before.shape.cols() + col]);
  return left;
}

Json cut_model(const Json& model, const ModelConfig& config, const Dependencies& dependencies, const Cut& cut) {
  ensure(
      Exit::usage, cut.blocks.size() == config.layers || !config.numbered_blocks,
      "--layers: what a block of this model computes depends on its number (scale_attn_by_inverse_layer_idx), so the "
      "others would change: remove heads and neurons");
  FeatureCounts left = config.left;
  for (const auto& [name, numbers] : cut.features)
    if (numbers.size() < dependencies.at(name).count) left[name] = numbers.size();
  Json smaller = model;
  smaller[config.layers_key] = cut.blocks.size();
  for (const auto& [key, numbers] : {std::pair{"pruned_to", left}, std::pair{"low_rank", config.ranks}}) {
    smaller[key] = nullptr;
    for (const auto& [name, number] : numbers)
      if (const auto after = cut.name_after(name)) smaller[key][*after] = number;
  }
  return smaller;
}

}  // namespace tranche::compress
