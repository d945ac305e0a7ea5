#include "launcher/job.h"

#include "launcher/deepspeed_keys.h"
#include "runtime/base/sha256.h"

namespace tranche {
namespace {

// Puts the configuration in place of its file's name.
void read_model_file(JobText& text) {
  const Json* name = text.json.is_object() && text.json.contains("model") ? &text.json["model"] : nullptr;
  if (name == nullptr || !name->is_string() || *name == "auto") return;
  std::filesystem::path file = name->get<std::string>();
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) file /= "config.json";
  text.model_source = {.file = file.string(), .lines = {}, .overridden = {}};
  text.model_path = "";
  Json config = read_json(file, Exit::job_file, &text.model_source.lines);
  text.json["model"] = std::move(config);
}

void apply_overrides(const std::vector<std::string>& overrides, JobText& text) {
  const std::string inside = "model.";
  for (const std::string& each : overrides) {
    if (each.starts_with(inside)) read_model_file(text);
    apply_override(each, text.json, text.source);
    if (each.starts_with("model=")) {
      text.model_path = "model";
      text.model_source = text.source;
    } else if (each.starts_with(inside) && text.model_path.empty()) {
      const std::string path = each.substr(inside.size(), each.find('=') - inside.size());
      text.model_source.overridden[path] = each.substr(each.find('=') + 1);
    }
  }
  read_model_file(text);
  if (!text.model_path.empty()) text.model_source = text.source;
}

Json member_of(const Json& object, const std::string& key) {
  return object.is_object() && object.contains(key) ? object[key] : Json{};
}

std::string difference_at(const std::string& path, const Json& a, const Json& b) {
  if (!a.is_object() || !b.is_object())
    return a == b ? "" : str('"', path, "\" is ", json_excerpt(a), " and ", json_excerpt(b));
  Json keys = a;
  keys.update(b);
  for (const auto& [key, ignored] : keys.items()) {
    const std::string difference =
        difference_at(path.empty() ? key : str(path, '.', key), member_of(a, key), member_of(b, key));
    if (!difference.empty()) return difference;
  }
  return "";
}

}  // namespace

JobText read_job(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  JobText text{.json = {}, .source = {file.string(), {}, {}}, .model_source = {}, .model_path = "model"};
  text.json = read_json(file, Exit::job_file, &text.source.lines);
  apply_overrides(overrides, text);
  return text;
}

JobText stored_job(const Json& effective, const std::string& name, const std::vector<std::string>& overrides) {
  JobText text{.json = effective, .source = {name, {}, {}}, .model_source = {}, .model_path = "model"};
  apply_overrides(overrides, text);
  return text;
}

Job::Job() { declare(); }

Job::Job(const JobText& text) {
  declare();
  root_.load(text.json, text.source);
  read_model(text);
  complete(text);
}

void Job::declare() {
  root_.key("model", model)
      .required()
      .about(
          "A Hugging Face `config.json`: its path (or its folder's), or the object itself. Architectures: `gpt2`, "
          "`llama`.");
  data.declare(root_.section("data", "Paths are relative to the directory in which the program is started."));
  train.declare(root_);
  optimizer.declare(root_.section("optimizer", "The update of the parameters, done by the owner of each in float32."));
  scheduler.declare(root_.section("scheduler", "The learning rate as a function of the updates done."));
  amp.declare(root_);
  Section& zero_optimization =
      root_.section("zero_optimization",
                    "What is divided among the ranks (Rajbhandari et al. 2020). Changes no number: any stage "
                    "resumes from any other.");
  zero.declare(zero_optimization);
  offload.declare(zero_optimization);
  Section& activations = root_.section(
      "activation_checkpointing",
      "Recomputing activations in backward instead of keeping them, and where what is kept lies. Changes no number.");
  train.declare_activations(activations);
  offload.declare_activations(activations);
  offload.aio.declare(root_.section("aio", "Reads and writes of the disk, for what is offloaded there."));
  Section& compression_training = root_.section(
      "compression_training", "Quantization and pruning during training, by DeepSpeed's keys; docs/compression.md.");
  compression.declare(compression_training);
  layer_reduction.declare(
      compression_training.section("layer_reduction", "A student that begins with some blocks of a trained model."));
  distillation.declare(
      root_.section("distillation", "A student that learns from a trained model as well; docs/compression.md."));
  checkpoint.declare(root_.section("checkpoint", "Where and how often the run is saved."));
  train.declare_integrity(root_.section(
      "integrity",
      "Finding bits that change by themselves, and ranks that differ. Changes no number; docs/launch.md."));
  device.declare(root_.section("device", "Each rank's memory and threads. Changes no number."));
  tensorboard.declare(root_.section("tensorboard", "Each step for TensorBoard; docs/launch.md. Changes no number."));
  declare_deepspeed_keys(root_);
}

void Job::read_model(const JobText& text) {
  ensure(Exit::job_file, model.is_object(), text.model_source.file, ": ",
         text.model_path.empty() ? "the configuration" : "\"model\"",
         " must be a Hugging Face configuration, { ... }, or the path of one, found ", json_excerpt(model));
  model_config = tranche::make_model(model, text.model_source, text.model_path, train.seed)->config();
  model = model_config.settings;
}

void Job::complete(const JobText& text) {
  ensure(Exit::job_file, data.sequence_length <= model_config.positions, root_.place_of("data.sequence_length"),
         "\"data.sequence_length\" is ", data.sequence_length, ", longer than the model's ", model_config.positions,
         " positions");
  ensure(Exit::job_file, train.reduction_block == 1 || zero.stage < 2, root_.place_of("reduction_block"),
         "\"reduction_block\" is ", train.reduction_block,
         ", which needs a whole local sum of the gradients: \"zero_optimization.stage\" must be 0 or 1, found ",
         zero.stage);
  ensure(Exit::job_file,
         train.reduction == Reduction::canonical || device.collectives != DeviceConfig::Collectives::host,
         root_.place_of("reduction"),
         "\"reduction\" is \"fast\", which NCCL does, and \"device.collectives\" \"host\" "
         "does without NCCL: leave one of them out");
  check_offload();
  compression.complete(text.source);
  compression.check(make_model()->units());
  layer_reduction.complete(text.source, model_config.layers);
  distillation.complete(root_, model_config.layers);
  read_peer(text);
  ensure(Exit::job_file, !layer_reduction.enabled || distillation.teachers.size() == 1 || checkpoint.start_from,
         root_.place_of("compression_training.layer_reduction.enabled"),
         "\"compression_training.layer_reduction\" takes blocks of a trained model: name it in "
         "\"distillation.teacher\" or, where there are several or none, \"checkpoint.start_from\"");
  if (scheduler.has_total() && !scheduler.total) {
    scheduler.total = train.steps;
    root_.derived("scheduler.params.total_num_steps", "steps");
  }
  const Doing frame{[&] { return "reading " + text.source.file; }};
  make_schedule(scheduler, optimizer);
  if (!checkpoint.directory) {
    checkpoint.directory = (std::filesystem::path{"runs"} / std::filesystem::path{text.source.file}.stem()).string();
    root_.derived("checkpoint.directory", "the job file's name");
  }
}

void Job::read_peer(const JobText& text) {
  const std::string key = "distillation.peer";
  if (distillation.peer.is_null()) return;
  ensure(Exit::job_file, distillation.peer.is_object(), root_.place_of(key), '"', key,
         "\" must be a Hugging Face configuration, { ... }, found ", json_excerpt(distillation.peer));
  const ModelConfig peer = tranche::make_model(distillation.peer, text.source, key, train.seed)->config();
  ensure(Exit::job_file, peer.vocabulary == model_config.vocabulary, root_.place_of(key), '"', key,
         "\" has a vocabulary of ", peer.vocabulary, " tokens, the model's is of ", model_config.vocabulary,
         ": a peer of the same tokens is needed");
  ensure(Exit::job_file, data.sequence_length <= peer.positions, root_.place_of(key), "\"data.sequence_length\" is ",
         data.sequence_length, ", longer than the ", peer.positions, " positions of \"", key, '"');
  distillation.peer = peer.settings;
}

void Job::check_offload() const {
  const std::string state = "zero_optimization.offload_optimizer.", slices = "zero_optimization.offload_param.";
  const auto refuse = [&](bool refused, const std::string& key, const auto&... why) {
    ensure(Exit::job_file, !refused, root_.place_of(key), "\"", key, "\" is ", why...);
  };
  const std::string inputs = "activation_checkpointing.";
  const bool away = offload.parameters != Tier::device;
  refuse(offload.activations() != Tier::device && !train.recompute,
         inputs + (offload.activation_nvme_path ? "nvme_path" : "cpu_checkpointing"),
         "for what recomputation keeps: set \"", inputs, "enabled\" to true");
  refuse(offload.activation_nvme_path && *offload.activation_nvme_path != offload.swap_folder(), inputs + "nvme_path",
         "\"", offload.activation_nvme_path.value_or(""), "\" where \"nvme_path\" of \"zero_optimization\" is \"",
         offload.swap_folder(), "\": a rank has one swap file, so name one folder");
  refuse(offload.uses_disk() && offload.swap_folder().empty(),
         (offload.optimizer == Tier::disk ? state : slices) + "device",
         "\"nvme\": \"nvme_path\" beside it must name a folder on the disk");
  refuse(offload.nvme_path && offload.parameter_nvme_path && offload.nvme_path != offload.parameter_nvme_path,
         slices + "nvme_path", "\"", offload.parameter_nvme_path.value_or(""), "\" where \"", state,
         "nvme_path\" is \"", offload.nvme_path.value_or(""), "\": a rank has one swap file, so name one folder");
  refuse(offload.optimizer == Tier::disk && offload.ratio != 1, state + "ratio", offload.ratio,
         ", which keeps a part on the device: only with \"device\": \"cpu\"");
  refuse(away && zero.stage != 3, slices + "device",
         "for slices of parameters: \"zero_optimization.stage\" must be 3, "
         "found ",
         zero.stage);
  refuse(away && offload.optimizer == Tier::device, slices + "device",
         "for jobs whose optimizer state is off the device too: set \"", state, "device\" to \"cpu\" or \"nvme\"");
  refuse(away && offload.ratio != 1, state + "ratio", offload.ratio, ", which keeps a part on the device: not with \"",
         slices, "device\"");
}

void Job::settle(std::size_t ranks) {
  batch = plan_batch(train, ranks, root_.place_of("train_batch_size"));
  const std::string derivation = str(batch.deal.micro_batches, " micro-batches of ", batch.micro_batch_size);
  if (!train.train_batch_size) root_.derived("train_batch_size", derivation);
  if (!train.micro_batch_size) root_.derived("train_micro_batch_size_per_gpu", derivation);
  train.train_batch_size = batch.samples();
  train.micro_batch_size = batch.micro_batch_size;
}

void Job::resume(std::size_t ranks, const Json& stored, const std::string& checkpoint_name) {
  const std::string another = first_difference(member_of(stored, "model"), model);
  ensure(Exit::checkpoint, another.empty(), checkpoint_name, " is a checkpoint of another model: ", another,
         " in this job");
  if (!train.train_batch_size || !train.micro_batch_size) {
    for (auto [value, key] : {std::pair{&train.train_batch_size, "train_batch_size"},
                              std::pair{&train.micro_batch_size, "train_micro_batch_size_per_gpu"}})
      if (!*value) {
        *value = member<std::size_t>(stored, key, checkpoint_name, Exit::checkpoint);
        root_.derived(key, "the checkpoint");
      }
    train.accumulation.reset();  // fixed M at the first start; now M is known
  }
  settle(ranks);
  const std::vector<std::string> differences = root_.differences(stored);
  if (differences.empty()) return;
  std::string lines;
  for (const std::string& line : differences) lines += "\n  " + line;
  fail(Exit::checkpoint, str("this job changes what ", checkpoint_name, " was trained with:", lines,
                             "\nGive the old values back, or start a new run in another checkpoint.directory."));
}

std::unique_ptr<Model> Job::make_model() const {
  return tranche::make_model(model, {.file = "the job", .lines = {}, .overridden = {}}, "model", train.seed);
}

// With dropout of its own.
std::unique_ptr<Model> Job::make_peer() const {
  if (distillation.peer.is_null()) return nullptr;
  return tranche::make_model(distillation.peer, {.file = "the job", .lines = {}, .overridden = {}}, "distillation.peer",
                             train.seed + 1);
}

Json Job::effective() const {
  Json values = root_.values();
  values.erase("gradient_accumulation_steps");  // follows from the number of ranks
  return values;
}

std::string Job::hash() const {
  Sha256 hash;
  hash.add(effective().dump());
  return hash.hex();
}

std::vector<std::string> Job::without_effect() const {
  std::vector<std::string> lines = root_.without_effect();
  lines.insert(lines.end(), model_config.without_effect.begin(), model_config.without_effect.end());
  return lines;
}

std::string Job::reference() const {
  return R"(# The job file

<!-- Made by `tranche config --reference`; a test compares it with the program. -->

JSON with comments. Keys that DeepSpeed has keep its names, meaning and defaults: a `ds_config.json` becomes a job by adding
`model`, `data` and `steps`. A value of `null`, or of `"auto"` where that is no word of the key's, counts as absent. Whole numbers may be written `5e8`. An unknown key is an
error that names the nearest known one. `--set a.b=c` on the command line overrides any key. `tranche config job.json` prints
every value with where it came from.

† A resumed run must have the value of its checkpoint. All other keys may change.

)" + root_.reference();
}

std::string first_difference(const Json& a, const Json& b) { return difference_at("", a, b); }

}  // namespace tranche
