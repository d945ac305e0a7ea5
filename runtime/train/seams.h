// Where features reach the step, and the plain defaults.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/comm/communicator.h"
#include "runtime/models/model.h"
#include "runtime/nn/seams.h"

namespace tranche {

// tokens, targets: (batch, sequence) int32. `number` counts within the step, over all ranks.
struct MicroBatch {
  std::size_t number = 0;
  Tensor tokens, targets;
  std::vector<std::uint64_t> samples{};  // of the token file; none in a plan
};
using Batch = std::vector<MicroBatch>;  // one rank's share of a step, in order

// The L2 norm of the whole gradient, equal on every rank.
struct GradientNorm {
  double value = 0;
  bool finite() const { return std::isfinite(value); }
};

// Named numbers that a feature keeps between steps, for checkpoints. Doubles hold every float32 and every integer up to
// 2^53 exactly.
using NamedNumbers = std::map<std::string, double>;
// The number of that name; Exit::checkpoint if there is none.
double number_of(const NamedNumbers& numbers, const std::string& name);

// From logits, and what it taps, to the loss of one micro-batch: forward code, recorded on the tape.
class Objective {
 public:
  virtual ~Objective() = default;
  // What it wants of the model beside the logits: names, with empty tensors.
  virtual Taps taps() const { return {}; }
  // logits: (batch, sequence, vocabulary); taps: as above, filled. Returns (1) float32, a mean over tokens. Collective
  // where the objective has parameters of its own.
  virtual Tensor loss(const Tensor& logits, const Taps& taps, const MicroBatch& micro) const;  // cross-entropy
};

// The loss of one micro-batch: the model's forward, and what the objective makes of it. Collective where they are.
Tensor loss_of(Model& model, const Objective& objective, const MicroBatch& micro);

// What a feature keeps between steps beside parameters: ranges, schedules. Forward sees it as it was at the step's
// start. Its named numbers are in every checkpoint and digest. The default keeps nothing.
class OwnerState {
 public:
  virtual ~OwnerState() = default;
  // Before the step's first micro-batch. updates: how many were done; schedules count them.
  virtual void begin_step(std::uint64_t) {}
  // Collective: the owners have updated what they own, and it was published. updates: with this one. True, on every
  // rank: working copies were changed, which are to be published again.
  virtual bool after_update(std::uint64_t /*updates*/) { return false; }
  // Collective, after its last: what micro-batches recorded is folded, in their order; if the step was skipped,
  // forgotten.
  virtual void end_step(bool /*taken*/) {}
  virtual NamedNumbers state() const { return {}; }
  virtual void restore(const NamedNumbers&) {}
};

// Several, in an order of their own, as one. Their names differ.
class OwnerStates : public OwnerState {
 public:
  explicit OwnerStates(std::vector<OwnerState*> states) : states_(std::move(states)) {}  // which outlive it

  void begin_step(std::uint64_t updates) override;
  bool after_update(std::uint64_t updates) override;
  void end_step(bool taken) override;
  NamedNumbers state() const override;
  void restore(const NamedNumbers& numbers) override;

 private:
  std::vector<OwnerState*> states_;
};

class LossScaler {
 public:
  virtual ~LossScaler() = default;
  // What the loss is multiplied with before backward.
  virtual float scale() const = 0;
  // Collective. Divides the gradients by the scale and returns their norm.
  virtual GradientNorm unscale(const Shards& gradients) = 0;
  // After the step was taken or skipped (a norm that is not finite). The same on every rank.
  virtual void adapt(const GradientNorm& norm) = 0;
  virtual NamedNumbers state() const = 0;
  virtual void restore(const NamedNumbers& state) = 0;
};

// The norm of gradients that ranks of `replica` hold together, one slice each: partial sums over blocks of 1,024
// elements of each unit's flat layout, combined unit by unit and block by block, in double. Equal bits for every number
// of ranks. Multiplies the gradients by `factor` on the way. Collective over `replica`.
GradientNorm scaled_norm(const Shards& gradients, float factor, const std::vector<Owned>& owned, Communicator& replica);

// The first non-finite gradient over all ranks of `replica`: "blocks.3.mlp.up.weight[7, 12] = inf on rank 2".
// Collective; empty if all are finite.
std::string first_non_finite(const Shards& gradients, const std::vector<Owned>& owned, Communicator& replica);

// Scale 1. A norm that is not finite stops the run, because nothing would mend it: Exit::numerics, naming the tensor.
class NoScaling : public LossScaler {
 public:
  // replica: the ranks that together hold one copy of the gradients.
  NoScaling(const std::vector<Owned>& owned, Communicator& replica) : owned_(owned), replica_(replica) {}

  float scale() const override { return 1; }
  GradientNorm unscale(const Shards& gradients) override;
  void adapt(const GradientNorm&) override {}
  NamedNumbers state() const override { return {}; }
  void restore(const NamedNumbers&) override {}

 private:
  const std::vector<Owned>& owned_;
  Communicator& replica_;
};

}  // namespace tranche
