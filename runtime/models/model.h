// A language model: tokens in, logits out. Its units are visited one after another; layers know of nothing else.
//
//   const std::unique_ptr<Model> model = make_model(config, source, "", seed);
//   for (Unit& unit : model->units()) store.adopt(unit, seams, seed);
//   model->set_training(true);
//   const Tensor logits = model->forward(tokens);
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/models/config.h"
#include "runtime/nn/dropout.h"
#include "runtime/nn/embedding.h"
#include "runtime/nn/unit.h"

namespace tranche {

// What units give, by the unit's name ("blocks.3": the residual stream behind that block), and what layers within them
// offer ("blocks.3.attention.qkv"). Whoever asks puts names with empty tensors in; a forward fills them. They keep
// their link to the tape.
using Taps = std::map<std::string, Tensor>;

// One thread at a time, like the tape.
class Model {
 public:
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // In the order of the forward: the embedding, each block, the head.
  std::deque<Unit>& units() { return units_; }

  // tokens: (batch, sequence) int32; returns (batch, sequence, vocabulary). Collective where the parameter store is.
  // Throws Exit::job_file if the sequence is longer than the model's positions.
  Tensor forward(const Tensor& tokens);
  // The same, and the outputs that are asked for. Throws Exit::internal if no unit has a name and no layer offers it.
  Tensor forward(const Tensor& tokens, Taps& taps);

  // Whether dropout drops. False at first. Not between a forward and its backward.
  void set_training(bool training) { mode_.training = training; }
  bool training() const { return mode_.training; }

  const ModelConfig& config() const { return config_; }
  std::size_t parameters() const;  // elements, a tied table counted once

  // Floating point operations of forward and backward for one token of a sequence this long, without recomputation:
  // 6 for each parameter but tables that are only looked up, and 12 * layers * heads * head_width * sequence for
  // attention (Chowdhery et al. 2022, appendix B), less where heads were removed.
  double flops_per_token(std::size_t sequence) const;

 protected:
  Model(ModelConfig config, std::uint64_t seed) : config_(std::move(config)), mode_{seed, false} {}

  // The layer must have forward(x) and collect(parameters), and live as long as the model.
  template <class Layer> Unit& add_unit(std::string name, Layer& layer, std::vector<Unit*> leased = {}) {
    std::vector<Parameter*> parameters;
    layer.collect(parameters);
    const auto forward = [&layer](const Tensor& x) { return layer.forward(x); };
    return units_.emplace_back(std::move(name), std::move(parameters), forward, std::move(leased));
  }
  const DropoutMode& mode() const { return mode_; }
  static Features tokens_of(const ModelConfig& config) { return {FeatureKind::tokens, "tokens", config.vocabulary}; }
  // The projection "head" of a model that is not tied.
  static std::optional<Embedding> untied_head(const ModelConfig& config);

 private:
  ModelConfig config_;
  DropoutMode mode_;
  std::deque<Unit> units_;
};

// Switches dropout off for a scope.
class Evaluating {
 public:
  explicit Evaluating(Model& model) : model_(model), before_(model.training()) { model.set_training(false); }
  ~Evaluating() { model_.set_training(before_); }
  Evaluating(const Evaluating&) = delete;
  Evaluating& operator=(const Evaluating&) = delete;

 private:
  Model& model_;
  bool before_;
};

// From a Hugging Face config.json, whose model_type chooses the architecture; absent keys have the defaults of the
// transformers library. `path` is where the object stands in its source: "" for a file of its own, "model" in a job
// file. `seed` is dropout's. Throws Exit::job_file for a key or value that is unknown, out of range, or not
// implemented.
std::unique_ptr<Model> make_model(const Json& config, const Source& source, const std::string& path,
                                  std::uint64_t seed);

}  // namespace tranche
