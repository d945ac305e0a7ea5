// Quantization-aware training: models compute with weights and inputs on few levels, gradients pass straight through,
// and the update changes float weights. In backward all is float.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compress/config.h"
#include "compress/input_steps.h"
#include "compress/observer.h"
#include "compress/step_sizes.h"
#include "runtime/comm/communicator.h"
#include "runtime/nn/seams.h"
#include "runtime/train/deal.h"
#include "runtime/train/seams.h"

namespace tranche::compress {

// Weights on the levels of their own range, as it is when they are used, or of learned step sizes. A pure function of
// the weight, its step sizes and the number of updates.
class QuantizedWeights : public WeightTransform {
 public:
  explicit QuantizedWeights(const WeightQuantization& config)  // must outlive it
      : config_(config), steps_(steps_of_weights(config)) {}

  // Of learned step sizes; to join units before they are placed.
  StepSizes& steps() { return steps_; }
  const StepSizes& steps() const { return steps_; }

  void stand_at(std::uint64_t updates) { updates_ = updates; }
  bool wants(const Parameter& parameter) const override;
  Tensor apply(const Parameter& parameter, const Tensor& values) const override;

 private:
  const WeightGroup* group_of(const Parameter& parameter) const;

  const WeightQuantization& config_;
  StepSizes steps_;
  std::uint64_t updates_ = 0;
  mutable std::map<const Parameter*, const WeightGroup*> groups_;  // names are matched once
};

// Linears whose inputs are on few levels. A fixed range follows what micro-batches saw: each records its own once, and
// at the step's end all ranks fold them in the order of micro-batches. An input that has no range yet stays as it is.
class QuantizedInputs : public LinearForm {
 public:
  // deal: of the job's micro-batches. All must outlive it.
  QuantizedInputs(const InputQuantization& config, const Deal& deal, Communicator& world)
      : config_(config), deal_(deal), world_(world), steps_(steps_of_inputs(config)) {}

  // Of learned step sizes; to join units before they are placed.
  StepSizes& steps() { return steps_; }
  const StepSizes& steps() const { return steps_; }

  void stand_at(std::uint64_t updates) { updates_ = updates; }
  void begin_step(std::uint64_t updates);
  void end_step(bool taken);  // collective
  NamedNumbers state() const;
  void restore(const NamedNumbers& numbers);
  // Of what this weight multiplies; null: none was seen.
  const Range* range_of(const std::string& weight) const;

  Tensor multiply(const Tensor& x, const Parameter& weight, const Tensor& bias) const override;
  Tensor activated(ops::Activation kind, const Tensor& x, const Parameter& weight, const Tensor& bias) const override;

 private:
  bool is_fixed() const { return config_.calibration == InputQuantization::Calibration::fixed; }
  void record(const Tensor& x, const std::string& weight) const;
  Tensor on_levels(const Tensor& x, const Parameter& weight, const InputGroup& group) const;

  const InputQuantization& config_;
  const Deal& deal_;
  Communicator& world_;
  StepSizes steps_;
  std::uint64_t updates_ = 0;
  bool records_ = false;  // within a training step
  std::map<std::string, Range> ranges_;
  using SeenByMicroBatch = std::map<std::uint64_t, Range>;
  mutable std::map<std::string, SeenByMicroBatch> seen_;
  mutable std::map<const Parameter*, const InputGroup*> groups_;
};

// Both, as one state of a training run.
class FakeQuantization : public OwnerState {
 public:
  FakeQuantization(const CompressConfig& config, const Deal& deal, Communicator& world)
      : weights_(config.weights), inputs_(config.inputs, deal, world) {}

  QuantizedWeights& weights() { return weights_; }
  const QuantizedWeights& weights() const { return weights_; }
  QuantizedInputs& inputs() { return inputs_; }
  const QuantizedInputs& inputs() const { return inputs_; }

  void begin_step(std::uint64_t updates) override;
  void end_step(bool taken) override { inputs_.end_step(taken); }
  NamedNumbers state() const override { return inputs_.state(); }
  void restore(const NamedNumbers& numbers) override { inputs_.restore(numbers); }
  // What evaluation computes with: a model that was trained so far.
  void stand_at(std::uint64_t updates);

 private:
  QuantizedWeights weights_;
  QuantizedInputs inputs_;
};

}  // namespace tranche::compress
