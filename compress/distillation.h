// A student that learns from a teacher's logits as well as from the text.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/models/model.h"
#include "runtime/ops/distillation.h"
#include "runtime/train/seams.h"

namespace tranche {

class Section;
struct Source;

namespace compress {

// What a job file says in "distillation".
struct DistillationConfig {
  std::optional<std::string> teacher{};  // a run's directory, or one step's
  double alpha = 0.5, temperature = 1;
  ops::Divergence divergence = ops::Divergence::forward;
  DType precision = DType::bfloat16;  // in which the teacher computes
  Tier parameters = Tier::device;     // where slices of a teacher lie that is divided

  void declare(Section& distillation);
  ops::DistillationTerms terms() const {
    return {static_cast<float>(alpha), static_cast<float>(temperature), divergence};
  }
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

// The mean over tokens of cross-entropy and divergence (runtime/ops/distillation.h). The teacher computes after the
// student's forward, without a tape and without dropout.
class Distillation : public Objective {
 public:
  // Both outlive it.
  Distillation(const ops::DistillationTerms& terms, Model& teacher, ParameterStore& parameters)
      : terms_(terms), teacher_(teacher), parameters_(parameters) {}
  Tensor loss(const Tensor& logits, const MicroBatch& micro) const override;

 private:
  ops::DistillationTerms terms_;
  Model& teacher_;
  ParameterStore& parameters_;
};

}  // namespace compress
}  // namespace tranche
