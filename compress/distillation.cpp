#include "compress/distillation.h"

#include "runtime/autograd/functions.h"
#include "runtime/base/settings.h"

namespace tranche::compress {

void DistillationConfig::declare(Section& section) {
  section.key("teacher", teacher)
      .about(
          "The directory of the run (its newest complete step, at the start) or of the step whose model teaches; none: "
          "nobody does. It is divided among the ranks as the student is, frozen, and must have the student's "
          "vocabulary.");
  section.key("alpha", alpha)
      .between(0.0, 1.0)
      .about("The loss is (1 - alpha) times cross-entropy and alpha times temperature^2 times the divergence.");
  section.key("temperature", temperature)
      .above(0.0)
      .about("Logits of both are divided by it before the divergence is taken (Hinton, Vinyals, Dean 2015).");
  section
      .choice<ops::Divergence>("divergence", divergence,
                               {{"forward", ops::Divergence::forward}, {"reverse", ops::Divergence::reverse}})
      .about("Kullback and Leibler's, averaged over the teacher's distribution, or over the student's.");
  section
      .choice<DType>("precision", precision,
                     {{"float32", DType::float32}, {"bfloat16", DType::bfloat16}, {"float16", DType::float16}})
      .about("In which the teacher computes, and is kept.");
  section.choice<Tier>("offload", parameters, {{"none", Tier::device}, {"cpu", Tier::host}})
      .may_change()
      .about("Where a rank's slices of the teacher lie between visits; \"cpu\" at stage 3 only.");
}

void LayerReduction::declare(Section& section) {
  section.key("enabled", enabled)
      .about(
          "Whether a new run begins with some of the blocks of a trained model: `distillation.teacher`, or "
          "`checkpoint.start_from` without one. Everything else (embedding, head) is copied too.");
  section.key("keep_number_layer", layers).about("Blocks of the student; its model must have as many.");
  section.key("teacher_layer", from_)
      .about("The teacher's block for each of the student's, counted from 0: `[1, 3, 5]`.");
  section.no_effect("module_name_prefix", nullptr, "blocks are known by their names");
  section.no_effect("other_module_name", nullptr, "everything but blocks is always copied");
}

void LayerReduction::complete(const Source& source, std::size_t layers_of_model) {
  if (!enabled) return;
  const std::string place = source.file + ": \"compression_training.layer_reduction.";
  ensure(Exit::job_file, layers == layers_of_model, place, "keep_number_layer\" is ", layers, ", but the model has ",
         layers_of_model, " blocks");
  ensure(Exit::job_file, from_.is_array() && from_.size() == layers, place, "teacher_layer\" must name ", layers,
         " blocks of the teacher, found ", json_excerpt(from_));
  for (const Json& each : from_) {
    const std::optional<std::size_t> layer = json_as<std::size_t>(each);
    ensure(Exit::job_file, layer.has_value(), place, "teacher_layer\" must be a list of whole numbers, found ",
           json_excerpt(each));
    from.push_back(*layer);
  }
}

std::string LayerReduction::name_in_teacher(const std::string& name) const {
  const std::string prefix = "blocks.";
  if (!name.starts_with(prefix)) return name;
  const std::size_t end = name.find('.', prefix.size());
  return prefix + std::to_string(from.at(std::stoul(name.substr(prefix.size(), end - prefix.size())))) +
         name.substr(end);
}

Tensor Distillation::loss(const Tensor& logits, const MicroBatch& micro) const {
  const Tensor taught = [&] {
    const Doing frame{[] { return std::string{"computing the teacher's logits"}; }};
    const Recording pause{nullptr};
    const Evaluating evaluating{teacher_};
    parameters_.begin_micro_batch();
    return teacher_.forward(micro.tokens);
  }();
  return autograd::distillation(logits, taught, micro.targets, terms_);
}

}  // namespace tranche::compress
