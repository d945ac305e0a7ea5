#include "compress/importance.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "compress/block_names.h"
#include "compress/step_sizes.h"
#include "runtime/ops/elementwise.h"
#include "runtime/train/batches.h"

namespace tranche::compress {
namespace {

constexpr std::array<std::string_view, 6> names{"l1", "l2", "taylor", "activation", "shapley", "random"};

bool is_removable(FeatureKind kind) { return kind == FeatureKind::heads || kind == FeatureKind::neurons; }

// What the next linear reads of features: they are its columns.
bool reads(const Parameter& parameter) {
  return parameter.features.size() == 2 && is_removable(parameter.features[1].kind);
}
bool writes_into_stream(const Parameter& parameter) {
  return parameter.features.size() == 2 && parameter.features[0].kind == FeatureKind::stream;
}

std::vector<double>& of_features(Scores& scores, const Features& features) {
  return scores.try_emplace(features.name, features.count).first->second;
}
double& of_block(Scores& scores, std::size_t block) {
  std::vector<double>& blocks = scores[blocks_name];
  if (blocks.size() <= block) blocks.resize(block + 1);
  return blocks[block];
}

// The sum over a feature's elements of term(element), for each.
template <class Term> std::vector<double> sums_over(const Place& place, Term term) {
  std::vector<double> sums(place.features().count);
  for_each_element(place, [&](std::size_t feature, std::size_t element) { sums[feature] += term(element); });
  return sums;
}

// The samples one after another, a micro-batch at a time; how many tokens there were.
template <class Compute>
std::size_t for_each_micro_batch(Model& model, const Windows& windows, Device& device, Compute compute) {
  const std::uint64_t all = count_samples(windows.file, windows.sequence_length);
  const SequentialOrder order{windows.samples == 0 ? all : std::min(windows.samples, all), windows.micro_batch_size};
  const Evaluating evaluating{model};
  std::size_t tokens = 0;
  for (std::uint64_t number = 0; number < order.micro_batches(); ++number) {
    const MicroBatch micro =
        read_tensors(windows.file, order.samples_of(number), windows.sequence_length, number, device);
    compute(micro);
    tokens += micro.tokens.size();
  }
  return tokens;
}

// 1 - cosine, summed over tokens.  x, y: (batch, sequence, width)
double turn(std::span<const float> x, std::span<const float> y, std::size_t width) {
  double sum = 0;
  for (std::size_t begin = 0; begin < x.size(); begin += width) {
    double xy = 0, xx = 0, yy = 0;
    for (std::size_t i = begin; i < begin + width; ++i) {
      xy += double{x[i]} * double{y[i]};
      xx += double{x[i]} * double{x[i]};
      yy += double{y[i]} * double{y[i]};
    }
    sum += xx > 0 && yy > 0 ? 1 - xy / std::sqrt(xx * yy) : 0;
  }
  return sum;
}

}  // namespace

Importance importance_named(const std::string& name) {
  const auto* const found = std::find(names.begin(), names.end(), name);
  ensure(Exit::usage, found != names.end(), "there is no importance '", name,
         "': expected l1, l2, taylor, activation, shapley or random");
  return static_cast<Importance>(found - names.begin());
}

Scores scores_by_norm(Importance norm, const std::deque<Unit>& units, const UnitReader& values_of) {
  check(norm == Importance::l1 || norm == Importance::l2, "importance by norm: neither l1 nor l2");
  const auto term = [norm](float weight) {
    return norm == Importance::l1 ? std::abs(double{weight}) : double{weight} * double{weight};
  };
  Scores scores;
  for (const Unit& unit : units) {
    const UnitValues flat = values_of(unit);
    for (const Parameter* each : unit.parameters()) {
      if (is_step_sizes(each->name)) continue;
      const std::span<const float> values = flat.values.subspan(each->offset, each->shape.size());
      if (const auto block = block_of(each->name))
        for (const float value : values) of_block(scores, *block) += term(value);
      for (std::size_t dimension = 0; dimension < each->features.size(); ++dimension) {
        const Place place{each, dimension};
        if (!is_removable(place.features().kind)) continue;
        const std::vector<double> sums = sums_over(place, [&](std::size_t e) { return term(values[e]); });
        std::vector<double>& score = of_features(scores, place.features());
        for (std::size_t i = 0; i < sums.size(); ++i) score[i] += sums[i];
      }
    }
  }
  if (norm == Importance::l2)
    for (auto& [name, score] : scores)
      for (double& each : score) each = std::sqrt(each);
  return scores;
}

Scores scores_at_random(std::uint64_t seed, const std::deque<Unit>& units) {
  Scores scores;
  const auto fill = [&](const std::string& name, std::vector<double>& score) {
    const RandomKey key = RandomKey{seed, Purpose::sampling}(hash_of(name));
    for (std::size_t i = 0; i < score.size(); ++i) score[i] = uniform(key.number(i));
  };
  for (const auto& [name, each] : dependencies_of(units))
    if (is_removable(each.kind)) fill(name, scores.try_emplace(name, each.count).first->second);
  of_block(scores, units.size() - 3);  // all but the embedding and the head
  fill(blocks_name, scores[blocks_name]);
  return scores;
}

void TaylorScores::reduce(Unit& unit, Tensor gradient) {
  const std::span<const float> weights = unit.values().span<float>(), gradients = gradient.span<float>();
  double written = 0;
  for (const Parameter* each : unit.parameters()) {
    const auto product = [&](std::size_t e) {
      return double{gradients[each->offset + e]} * double{weights[each->offset + e]};
    };
    if (reads(*each)) {
      const std::vector<double> sums = sums_over({each, 1}, product);
      std::vector<double>& score = of_features(scores_, each->features[1]);
      for (std::size_t i = 0; i < sums.size(); ++i) score[i] += std::abs(sums[i]);
    }
    if (writes_into_stream(*each))
      for (std::size_t e = 0; e < each->shape.size(); ++e) written += product(e);
  }
  if (const auto block = block_of(unit.name() + ".")) of_block(scores_, *block) += std::abs(written);
}

Scores TaylorScores::show(Model& model, const Windows& windows, Device& device) {
  for_each_micro_batch(model, windows, device, [&](const MicroBatch& micro) {
    Tape tape;
    const Tensor loss = [&] {
      const Recording on{&tape};
      return loss_of(model, Objective{}, micro);
    }();
    const Tensor one = loss.sibling("gradient of the loss", {1}, DType::float32);
    ops::fill_constant(one, 1);
    tape.backward(loss, one);
  });
  return std::exchange(scores_, {});
}

Tensor ActivationScores::run(const Forward& forward, const Tensor& x) const {
  const Tensor y = forward(x);
  if (visited_ == turned_.size()) turned_.push_back(0);
  if (x.shape() == y.shape()) turned_[visited_] += turn(x.span<float>(), y.span<float>(), x.cols());
  ++visited_;
  return y;
}

Scores ActivationScores::show(Model& model, WatchedLinears& linears, const Windows& windows, Device& device) {
  std::map<std::string, const Parameter*> readers;
  for (const Unit& unit : model.units())
    for (const Parameter* each : unit.parameters())
      if (reads(*each)) readers[each->name] = each;
  std::map<std::string, std::vector<double>> squares;  // of each column's inputs, by the weight that reads them
  linears.watch([&](const Parameter& weight, const Tensor& x) {
    if (!readers.contains(weight.name)) return;
    std::vector<double>& sums = squares.try_emplace(weight.name, x.cols()).first->second;
    const std::span<const float> values = x.span<float>();
    for (std::size_t e = 0; e < values.size(); ++e) sums[e % sums.size()] += double{values[e]} * double{values[e]};
  });
  turned_.clear();
  const Recording pause{nullptr};
  const std::size_t tokens = for_each_micro_batch(model, windows, device, [&](const MicroBatch& micro) {
    visited_ = 0;
    model.forward(micro.tokens);
  });
  linears.watch({});

  Scores scores;
  for (const auto& [weight, sums] : squares) {
    const Parameter& reader = *readers.at(weight);
    const std::span<const float> weights = reader.value.span<float>();
    std::vector<double>& score = of_features(scores, reader.features[1]);
    score = sums_over({&reader, 1},
                      [&](std::size_t e) { return double{weights[e]} * double{weights[e]} * sums[e % sums.size()]; });
    for (double& each : score) each = std::sqrt(each);
  }
  for (std::size_t block = 0; block + 2 < turned_.size(); ++block)
    of_block(scores, block) = turned_[block + 1] / static_cast<double>(tokens);
  return scores;
}

}  // namespace tranche::compress
