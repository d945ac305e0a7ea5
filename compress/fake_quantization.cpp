#include "compress/fake_quantization.h"

#include <cmath>

#include "runtime/autograd/functions.h"
#include "runtime/nn/moment.h"

namespace tranche::compress {
namespace {

constexpr float following = 0.05f;  // how far a fixed range goes towards what was seen: 1 - DeepSpeed's momentum
const std::string low_end = ".low", high_end = ".high";

ops::Levels levels_of(Symmetry symmetry, std::size_t bits) {
  const std::int32_t steps = 1 << bits;
  return symmetry == Symmetry::symmetric ? ops::Levels{-steps / 2, steps / 2 - 1} : ops::Levels{0, steps - 1};
}

template <class Group, class Find>
const Group* remembered(std::map<const Parameter*, const Group*>& known, const Parameter& parameter, Find find) {
  const auto [found, fresh] = known.try_emplace(&parameter, nullptr);
  if (fresh) found->second = find();
  return found->second;
}

}  // namespace

const WeightGroup* QuantizedWeights::group_of(const Parameter& parameter) const {
  return remembered(groups_, parameter, [&] { return config_.group_of(parameter); });
}

bool QuantizedWeights::wants(const Parameter& parameter) const {
  return config_.enabled && updates_ >= config_.offset && group_of(parameter) != nullptr;
}

Tensor QuantizedWeights::apply(const Parameter& parameter, const Tensor& values) const {
  const unsigned bits = group_of(parameter)->bits_after(updates_ - config_.offset);
  if (const Parameter* steps = steps_.of(parameter))
    return autograd::fake_quantize_by(values, steps->value, config_.grid_of(parameter), bits);
  return autograd::fake_quantize(values, config_.grid_of(parameter), config_.form_of(bits), bits);
}

void QuantizedInputs::begin_step(std::uint64_t updates) {
  stand_at(updates);
  records_ = config_.enabled && is_fixed() && !(config_.learned_steps && updates >= config_.offset);
}

Tensor QuantizedInputs::multiply(const Tensor& x, const Parameter& weight, const Tensor& bias) const {
  const InputGroup* group = remembered(groups_, weight, [&] { return config_.group_of(weight); });
  if (group == nullptr) return LinearForm::multiply(x, weight, bias);
  if (records_ && !Moment::now().backward) record(x, weight.name);
  return LinearForm::multiply(updates_ >= config_.offset ? on_levels(x, weight, *group) : x, weight, bias);
}

Tensor QuantizedInputs::activated(ops::Activation kind, const Tensor& x, const Parameter& weight,
                                  const Tensor& bias) const {
  const InputGroup* group = remembered(groups_, weight, [&] { return config_.group_of(weight); });
  return group == nullptr ? number_form.activated(kind, x, weight, bias) : LinearForm::activated(kind, x, weight, bias);
}

void QuantizedInputs::record(const Tensor& x, const std::string& weight) const {
  const Tensor ends = x.sibling("range of an input", {2}, DType::float32);
  ops::range_of(x.detached(), ends);
  const Range range{ends.view(0, {1}).scalar<float>(), ends.view(1, {1}).scalar<float>()};
  const auto [found, first] = seen_[weight].try_emplace(Moment::now().micro_batch, range);
  if (first) return;  // else the weight is used twice
  found->second = {std::min(found->second.low, range.low), std::max(found->second.high, range.high)};
}

Tensor QuantizedInputs::on_levels(const Tensor& x, const Parameter& weight, const InputGroup& group) const {
  const auto bits = static_cast<unsigned>(group.bits);
  using Signs = InputQuantization::Signs;
  if (config_.signs != Signs::none)
    return autograd::signs(x, config_.signs == Signs::plain ? ops::SignScale::one : ops::SignScale::row_mean);
  if (const Parameter* step = steps_.of(weight))
    return autograd::fake_quantize_by(x, step->value, ops::QuantizationGrid::per_tensor(x.size()), bits);
  if (!is_fixed()) {
    const ops::FakeForm form =
        config_.symmetry == Symmetry::symmetric ? ops::FakeForm::symmetric : ops::FakeForm::widened;
    return autograd::fake_quantize(x, ops::QuantizationGrid::per_row(x.rows(), x.cols()), form, bits);
  }
  const auto range = ranges_.find(weight.name);
  if (range == ranges_.end()) return x;
  const ops::Levels levels = levels_of(config_.symmetry, bits);
  const ScaleAndZero scale = scale_of(range->second, config_.symmetry, levels, "the input of " + weight.name);
  return autograd::fake_quantize_with(scale.scale, scale.zero, levels, x);
}

void QuantizedInputs::end_step(bool taken) {
  if (!std::exchange(records_, false)) return;
  std::vector<double> mine;  // (weights by name, micro-batches in order, 2)
  for (const auto& [weight, by_micro_batch] : seen_)
    for (const auto& [micro_batch, range] : by_micro_batch) {
      mine.push_back(range.low);
      mine.push_back(range.high);
    }
  const std::vector<double> all = world_.gather(mine, "ranges of inputs");
  const std::size_t per_rank = mine.size();
  std::size_t weights_before = 0;
  const std::map<std::string, SeenByMicroBatch> seen = std::exchange(seen_, {});
  if (!taken) return;
  for (const auto& [weight, by_micro_batch] : seen) {
    std::vector<Range> ordered(deal_.micro_batches);
    for (std::size_t rank = 0; rank < world_.size(); ++rank) {
      std::size_t next = rank * per_rank + weights_before;
      for (const std::size_t number : deal_.of_rank(rank)) {
        ordered[number] = {static_cast<float>(all[next]), static_cast<float>(all[next + 1])};
        next += 2;
      }
    }
    weights_before += 2 * by_micro_batch.size();
    for (std::size_t number = 0; number < ordered.size(); ++number) {
      const Range range = ordered[number];
      ensure(Exit::numerics, std::isfinite(range.low) && std::isfinite(range.high), "the input of ", weight,
             " in micro-batch ", number, " is not finite, though the step's gradients are");
      const auto [found, first] = ranges_.try_emplace(weight, range);
      if (first) continue;
      found->second.low += following * (range.low - found->second.low);
      found->second.high += following * (range.high - found->second.high);
    }
  }
}

NamedNumbers QuantizedInputs::state() const {
  NamedNumbers numbers;
  for (const auto& [weight, range] : ranges_) {
    numbers[weight + low_end] = double{range.low};
    numbers[weight + high_end] = double{range.high};
  }
  return numbers;
}

void QuantizedInputs::restore(const NamedNumbers& numbers) {
  ranges_.clear();
  for (const auto& [name, low] : numbers) {
    if (!name.ends_with(low_end)) continue;
    const std::string weight = name.substr(0, name.size() - low_end.size());
    const Range range{static_cast<float>(low), static_cast<float>(number_of(numbers, weight + high_end))};
    ensure(Exit::checkpoint, std::isfinite(range.low) && std::isfinite(range.high) && range.low <= range.high,
           "the checkpoint's range of the input of ", weight, " is ", range.low, " to ", range.high);
    ranges_[weight] = range;
  }
}

const Range* QuantizedInputs::range_of(const std::string& weight) const {
  const auto found = ranges_.find(weight);
  return found == ranges_.end() ? nullptr : &found->second;
}

void FakeQuantization::begin_step(std::uint64_t updates) {
  weights_.stand_at(updates);
  inputs_.begin_step(updates);
}

void FakeQuantization::stand_at(std::uint64_t updates) {
  weights_.stand_at(updates);
  inputs_.stand_at(updates);
}

}  // namespace tranche::compress
