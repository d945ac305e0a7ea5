// A student that learns from teachers' logits and hidden states as well as from the text.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compress/attention_relations.h"
#include "compress/exits.h"
#include "compress/hidden_states.h"
#include "compress/logit_source.h"
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
  std::vector<std::string> teachers{};         // runs' directories, or steps'
  std::optional<std::string> stored_logits{};  // a file of theirs, in place of them; neither: nobody teaches
  double alpha = 0.5, temperature = 1;
  ops::Divergence divergence = ops::Divergence::forward;
  DType precision = DType::bfloat16;  // in which the teacher computes
  Tier parameters = Tier::device;     // where slices of a teacher lie that is divided
  HiddenStatesConfig hidden_states{};
  RelationsConfig relations{};
  AttentionRelationsConfig attention{};
  ExitsConfig exits{};
  Json peer;  // configuration of a model that trains along; null: none

  void declare(Section& distillation);
  // Reads "teacher" and the pairs of blocks, once everything is loaded. job: the root of the file; layers: that the
  // student has. Throws Exit::job_file for what names none.
  void complete(const Section& job, std::size_t layers);
  // Throws Exit::job_file if this teacher cannot teach that student, in micro-batches of so many samples.
  void check(const ModelConfig& student, std::size_t micro_batch_size, const ModelConfig& teacher,
             const std::string& name_of_teacher) const;
  bool teaches() const { return !teachers.empty() || stored_logits; }
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

// The mean over tokens of cross-entropy and divergence (runtime/ops/distillation.h) from what a source says after the
// student's forward. What blocks give is compared beside that.
class Distillation : public Objective {
 public:
  // source: of the student's vocabulary and on its device. student, teacher: configurations; teacher is null where no
  // blocks are compared. projections: those that `config` asks for, null: none. All outlive it.
  Distillation(const DistillationConfig& config, const LogitSource& source, const ModelConfig& student,
               const ModelConfig* teacher, Projections* projections)
      : source_(source),
        student_(student),
        teacher_(teacher),
        terms_(config.terms()),
        hidden_states_(config.hidden_states),
        relations_(config.relations),
        attention_(config.attention),
        projections_(projections) {}
  Taps taps() const override;
  Tensor loss(const Tensor& logits, const Taps& taps, const MicroBatch& micro) const override;

 private:
  Taps taps_of_teacher() const;

  const LogitSource& source_;
  const ModelConfig& student_;
  const ModelConfig* teacher_;
  ops::DistillationTerms terms_;
  HiddenStatesConfig hidden_states_;
  RelationsConfig relations_;
  AttentionRelationsConfig attention_;
  Projections* projections_;
};

}  // namespace compress
}  // namespace tranche
