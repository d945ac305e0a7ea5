// A student that learns from teachers' logits and hidden states as well as from the text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compress/attention_relations.h"
#include "compress/hidden_states.h"
#include "compress/relations.h"
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
  RelationsConfig relations{};
  AttentionRelationsConfig attention{};

  void declare(Section& distillation);
  // Reads "teacher" and the pairs of blocks, once everything is loaded. job: the root of the file; layers: that the
  // student has. Throws Exit::job_file for what names none.
  void complete(const Section& job, std::size_t layers);
  // Throws Exit::job_file if this teacher cannot teach that student, in micro-batches of so many samples.
  void check(const ModelConfig& student, std::size_t micro_batch_size, const ModelConfig& teacher,
             const std::string& name_of_teacher) const;
  ops::DistillationTerms terms() const {
    return {static_cast<float>(alpha), static_cast<float>(temperature), divergence};
  }

 private:
  void read_teachers(const std::string& place);

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
// their logits, summed in float32 in their order. What blocks give is compared beside that.
class Distillation : public Objective {
 public:
  // At least one teacher, all of the student's vocabulary and on its device; exactly one that has its blocks where
  // blocks are compared. student: its configuration; projections: those that `config` asks for, null: none; both
  // outlive it.
  Distillation(const DistillationConfig& config, const ModelConfig& student, std::vector<TeachingModel> teachers,
               Projections* projections, Device& device)
      : student_(student),
        terms_(config.terms()),
        hidden_states_(config.hidden_states),
        relations_(config.relations),
        attention_(config.attention),
        teachers_(std::move(teachers)),
        projections_(projections),
        copies_(device.copy_stream()) {}
  Taps taps() const override;
  Tensor loss(const Tensor& logits, const Taps& taps, const MicroBatch& micro) const override;

 private:
  Tensor mean_logits(const Tensor& tokens, Taps& taps) const;
  Taps taps_of_teacher() const;

  const ModelConfig& student_;
  ops::DistillationTerms terms_;
  HiddenStatesConfig hidden_states_;
  RelationsConfig relations_;
  AttentionRelationsConfig attention_;
  std::vector<TeachingModel> teachers_;
  Projections* projections_;
  std::unique_ptr<CopyStream> copies_;
};

}  // namespace compress
}  // namespace tranche
