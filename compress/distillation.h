// A student that learns from teachers' logits and hidden states as well as from the text.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compress/hidden_states.h"
#include "runtime/models/model.h"
#include "runtime/ops/distillation.h"
#include "runtime/train/seams.h"

namespace tranche {

class Section;
struct Source;

namespace compress {

// What a job file says in "distillation".
struct DistillationConfig {
  std::vector<std::string> teachers{};  // runs' directories, or steps'; none: nobody teaches
  double alpha = 0.5, temperature = 1;
  ops::Divergence divergence = ops::Divergence::forward;
  DType precision = DType::bfloat16;  // in which the teacher computes
  Tier parameters = Tier::device;     // where slices of a teacher lie that is divided
  HiddenStatesConfig hidden_states{};

  void declare(Section& distillation);
  // Reads "teacher", once everything is loaded and hidden_states complete. Throws Exit::job_file for what names none.
  void complete(const std::string& place);
  ops::DistillationTerms terms() const {
    return {static_cast<float>(alpha), static_cast<float>(temperature), divergence};
  }

 private:
  Json teacher_;  // a name, or a list of them
};

// A student that begins with some of a trained model's blocks: DeepSpeed's "layer_reduction".
struct LayerReduction {
  bool enabled = false;
  std::size_t layers = 0;           // "keep_number_layer"
  std::vector<std::size_t> from{};  // "teacher_layer": block i begins as this one of the teacher

  void declare(Section& layer_reduction);
  // layers_of_model: that the student has. Throws Exit::job_file for what cannot be.
  void complete(const Source& source, std::size_t layers_of_model);
  // The teacher's name of a student's tensor: "blocks.1.mlp.up.weight" -> "blocks.3.mlp.up.weight".
  std::string name_in_teacher(const std::string& name) const;

 private:
  Json from_ = Json::array();
};

// One who teaches; what it names outlives it.
struct TeachingModel {
  Model& model;
  ParameterStore& parameters;
};

// The mean over tokens of cross-entropy and divergence (runtime/ops/distillation.h). The teachers compute after the
// student's forward, without a tape and without dropout. Of several, one after another, the student learns the mean of
// their logits, summed in float32 in their order. Distances of hidden states are added.
class Distillation : public Objective {
 public:
  // At least one teacher, all of the student's vocabulary; exactly one that has its blocks where hidden states teach.
  Distillation(const DistillationConfig& config, std::vector<TeachingModel> teachers)
      : terms_(config.terms()), hidden_states_(config.hidden_states), teachers_(std::move(teachers)) {}
  Taps taps() const override { return hidden_states_.of_student(); }
  Tensor loss(const Tensor& logits, const Taps& taps, const MicroBatch& micro) const override;

 private:
  Tensor mean_logits(const Tensor& tokens, Taps& taps) const;

  ops::DistillationTerms terms_;
  HiddenStatesConfig hidden_states_;
  std::vector<TeachingModel> teachers_;
};

}  // namespace compress
}  // namespace tranche
