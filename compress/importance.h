// How much heads, neurons and blocks of a trained model matter, for structured pruning.
#pragma once

#include <string>

#include "compress/calibration.h"
#include "compress/quantize_weights.h"
#include "compress/structure.h"

namespace tranche::compress {

enum class Importance : std::uint8_t { l1, l2, taylor, activation, shapley, random };
Importance importance_named(const std::string& name);  // Exit::usage for another

// l1, l2: the norm of all weights that go with a feature, or that a block has.
Scores scores_by_norm(Importance norm, const std::deque<Unit>& units, const UnitReader& values_of);

// Each a number of its own, whatever else the model has.
Scores scores_at_random(std::uint64_t seed, const std::deque<Unit>& units);

// Over the micro-batches of the windows, in their order, by what a model shows of its forward and backward. A model is
// made with these in its seams, computes in float32, and stays where it is.

// Molchanov et al. 2019: how much the loss would change to first order, were what the next linear reads of a feature
// zero, or what a block writes into the stream: |sum of gradient * weight|, summed over micro-batches.
class TaylorScores : public GradientSync {
 public:
  void reduce(Unit& unit, Tensor gradient) override;
  void end_micro_batch() override {}
  Shards finish() override { return {}; }

  Scores show(Model& model, const Windows& windows, Device& device);

 private:
  Scores scores_;
};

// What a feature adds to the next linear's outputs: the root of the sum over its columns c of |x_c|^2 |w_c|^2, x over
// all tokens (after Sun et al. 2024). Of a block, how much it turns the stream: the mean over tokens of 1 - cosine of
// what it is given and gives (Men et al. 2024).
class ActivationScores : public ActivationPolicy {
 public:
  Tensor run(const Forward& forward, const Tensor& x) const override;

  // linears: the model's.
  Scores show(Model& model, WatchedLinears& linears, const Windows& windows, Device& device);

 private:
  mutable std::vector<double> turned_;  // a sum for each unit, as they are visited
  mutable std::size_t visited_ = 0;
};

}  // namespace tranche::compress
