#include "compress/distillation.h"

#include "compress/block_names.h"
#include "runtime/autograd/functions.h"
#include "runtime/base/settings.h"

namespace tranche::compress {

void DistillationConfig::declare(Section& section) {
  section.key("teacher", teacher_)
      .about(
          "The directory of the run (its newest complete step, at the start) or of the step whose model teaches, or a "
          "list of several; none: nobody does. Each is divided among the ranks as the student is, frozen, and must "
          "have "
          "the student's vocabulary. Of several, the mean of their logits teaches.");
  section.key("stored_logits", stored_logits)
      .about("In place of `teacher`: the file of what it said of `data.train`, which `tranche store-logits` makes.");
  section.key("peer", peer)
      .about(
          "In place of `teacher`: a Hugging Face configuration, `{...}`, of a second model that trains along with "
          "parameters of its own, while each of the two teaches the other. It is no part of the model that is kept.");
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
  hidden_states.declare(
      section.section("hidden_states", "What the teacher's blocks give, as a further term of the loss."));
  relations.declare(
      section.section("relations", "How samples lie to each other in blocks of both, as a further term of the loss."));
  exits.declare(section.section("exits", "A model whose end teaches its own earlier blocks."));
  attention.declare(section.section("attention", "How tokens relate in the attention of both, as a further term."));
}

void DistillationConfig::complete(const Section& job, std::size_t layers) {
  const std::string path = "distillation.";
  read_teachers(job.place_of(path + "teacher"));
  exits.complete(job.place_of(path + "exits.blocks"), layers);
  ensure(Exit::job_file, peer.is_null() || !teaches(), job.place_of(path + "peer"),
         "\"distillation.peer\" is taught and teaches in place of \"distillation.teacher\" and "
         "\"distillation.stored_logits\": name one of the three");
  const std::string stored = path + "stored_logits";
  ensure(Exit::job_file, !stored_logits || teachers.empty(), job.place_of(stored), "\"", stored,
         "\" is what a teacher has said, and \"distillation.teacher\" one who would say it: name one of the two");
  ensure(Exit::job_file, !stored_logits || parameters == Tier::device, job.place_of(path + "offload"),
         "\"distillation.offload\" is for a teacher that computes, and \"", stored, "\" has none");
  for (const auto& [pairs, name] :
       {std::pair{&hidden_states.pairs, "hidden_states"}, std::pair{&relations.pairs, "relations"},
        std::pair{&attention.pairs, "attention"}}) {
    const std::string key = str(path, name, ".pairs"), place = job.place_of(key);
    pairs->complete(place, key, layers);
    ensure(Exit::job_file, pairs->empty() || teachers.size() == 1, place, pairs->key(),
           " needs one teacher in \"distillation.teacher\", found ", teachers.size());
  }
  relations.complete(job.place_of(path + "relations.pairs"));
  attention.complete(job.place_of(path + "attention.of"));
}

void DistillationConfig::check(const ModelConfig& student, std::size_t micro_batch_size, const ModelConfig& teacher,
                               const std::string& name_of_teacher) const {
  hidden_states.check(student, teacher, name_of_teacher);
  relations.check(teacher, name_of_teacher, micro_batch_size);
  attention.check(student, teacher, name_of_teacher);
}

void DistillationConfig::read_teachers(const std::string& place) {
  const auto refuse = [&] {
    fail(Exit::job_file,
         str(place, "\"distillation.teacher\" must be a directory, or a list of them, found ", json_excerpt(teacher_)));
  };
  if (teacher_.is_null()) return;
  if (teacher_.is_array() && teacher_.empty()) refuse();
  for (const Json& each : teacher_.is_array() ? teacher_ : Json::array({teacher_})) {
    if (!each.is_string()) refuse();
    teachers.push_back(each.get<std::string>());
  }
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
  const auto block = block_of(name);
  return block ? in_block(name, from.at(*block)) : name;
}

Taps Distillation::taps() const {
  Taps taps;
  hidden_states_.pairs.ask_student(taps);
  relations_.pairs.ask_student(taps);
  attention_.ask_student(taps);
  return taps;
}

Taps Distillation::taps_of_teacher() const {
  Taps taps;
  hidden_states_.pairs.ask_teacher(taps);
  relations_.pairs.ask_teacher(taps);
  attention_.ask_teacher(taps);
  return taps;
}

Tensor Distillation::loss(const Tensor& logits, const Taps& taps, const MicroBatch& micro) const {
  Taps taught_states = taps_of_teacher();
  const Tensor taught = source_.logits(micro, taught_states);
  Tensor loss = autograd::distillation(logits, taught, micro.targets, terms_);
  loss = hidden_states_.added_to(loss, taps, taught_states, projections_);
  loss = relations_.added_to(loss, taps, taught_states);
  return attention_.added_to(loss, student_, taps, teacher_, taught_states);
}

}  // namespace tranche::compress
