#include "compress/shapley.h"

#include <algorithm>
#include <numeric>

#include "runtime/base/random.h"

namespace tranche::compress {
namespace {

// 0 .. count - 1 in an order of the key's (Fisher, Yates).
std::vector<std::size_t> shuffled(std::size_t count, RandomKey key) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = count; i > 1; --i)
    std::swap(order[i - 1], order[static_cast<std::size_t>(std::uint64_t{key.number(i)} * i >> 32)]);
  return order;
}

}  // namespace

Tensor Players::run(const Forward& forward, const Tensor& x) const {
  if (skipped_.empty()) return forward(x);
  const std::size_t unit = visited_;
  visited_ = (visited_ + 1) % skipped_.size();
  return skipped_[unit] ? x : forward(x);
}

void Players::remove(Model& model, const Player& player) {
  if (player.name == blocks_name) {
    skipped_[player.number + 1] = true;  // behind the embedding
    return;
  }
  const Dependencies dependencies = dependencies_of(model.units());
  for (const Place& place : dependencies.at(player.name).places) {
    if (place.dimension != 1) continue;
    const std::span<float> values = place.parameter->value.span<float>();
    for_each_element(place, [&](std::size_t feature, std::size_t element) {
      if (feature == player.number) values[element] = 0;
    });
  }
}

Scores Players::play(Model& model, const std::vector<Player>& players, const std::function<double()>& loss) {
  Scores scores;
  for (const Player& each : players) {
    std::vector<double>& score = scores[each.name];
    score.resize(std::max(score.size(), each.number + 1));
  }
  std::vector<std::vector<float>> whole;
  for (const Unit& unit : model.units()) {
    const std::span<const float> values = unit.values().span<float>();
    whole.emplace_back(values.begin(), values.end());
  }
  visited_ = 0;
  skipped_.assign(model.units().size(), false);
  const double of_all = loss();
  for (std::size_t order = 0; order < orders_; ++order) {
    double before = of_all;
    for (const std::size_t i : shuffled(players.size(), RandomKey{seed_, Purpose::sampling}(order))) {
      remove(model, players[i]);
      const double after = loss();
      scores[players[i].name][players[i].number] += (after - before) / static_cast<double>(orders_);
      before = after;
    }
    for (const Unit& unit : model.units()) std::ranges::copy(whole[unit.index()], unit.values().span<float>().begin());
    skipped_.assign(skipped_.size(), false);
  }
  return scores;
}

Scores Players::of_heads(Model& model, const std::function<double()>& loss) {
  std::vector<Player> players;
  for (const auto& [name, each] : dependencies_of(model.units()))
    for (std::size_t i = 0; each.kind == FeatureKind::heads && i < each.count; ++i) players.push_back({name, i});
  return play(model, players, loss);
}

Scores Players::of_blocks(Model& model, const std::function<double()>& loss) {
  std::vector<Player> players;
  for (std::size_t block = 0; block < model.config().layers; ++block) players.push_back({blocks_name, block});
  return play(model, players, loss);
}

}  // namespace tranche::compress
