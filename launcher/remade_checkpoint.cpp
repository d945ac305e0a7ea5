#include "launcher/remade_checkpoint.h"

#include <CLI/CLI.hpp>

#include "runtime/base/file.h"

namespace tranche {
namespace {

// Values of the units of the new model, in their flat layouts.
class RemadeState {
 public:
  RemadeState(Model& model, const std::function<std::vector<float>(const Parameter&)>& values_of) {
    state_.kinds = {"parameters"};
    for (const Unit& unit : model.units()) {
      checkpoint::UnitLayout& layout = state_.units.emplace_back(checkpoint::UnitLayout{unit.name(), {}});
      std::vector<float>& flat = values_.emplace_back();
      for (const Parameter* each : unit.parameters()) {
        layout.tensors.push_back({each->name, each->shape});
        const std::vector<float> values = values_of(*each);
        check(values.size() == each->shape.size(), each->name, " has shape ", each->shape, ", and ", values.size(),
              " values were made");
        flat.insert(flat.end(), values.begin(), values.end());
      }
      state_.slices.push_back({checkpoint::OwnedSlice::resident(0, flat)});
    }
  }
  const checkpoint::ModelState& state() const { return state_; }

 private:
  std::deque<std::vector<float>> values_;  // by unit
  checkpoint::ModelState state_;
};

checkpoint::JobState state_of(const std::filesystem::path& folder, const Job& job) {
  checkpoint::JobState state = checkpoint::read_manifest(folder).state;
  std::erase_if(state.logical,
                [](const auto& each) { return each.first == "teacher" || each.first.starts_with("compression."); });
  state.job = job.effective();
  return state;
}

}  // namespace

TrainedValues::TrainedValues(OpenedModel& model) : model_(model) {
  for (const Unit& unit : model.units())
    for (const Parameter* each : unit.parameters()) found_[each->name] = {&unit, each};
}

const TrainedValues::Found& TrainedValues::find(const std::string& name) const {
  const auto found = found_.find(name);
  check(found != found_.end(), "the model has no ", name);
  return found->second;
}

const Parameter& TrainedValues::parameter(const std::string& name) const { return *find(name).parameter; }

std::span<const float> TrainedValues::of(const std::string& name) {
  const Found& found = find(name);
  held_ = model_.values_of(*found.unit);
  return held_.values.subspan(found.parameter->offset, found.parameter->shape.size());
}

std::unique_ptr<Job> job_of_remade(const std::filesystem::path& folder, const Json& model) {
  Json json = checkpoint::read_manifest(folder).state.job;
  json["model"] = model;
  for (const char* key : {"compression_training", "distillation"}) json.erase(key);
  json["checkpoint"].erase("start_from");
  auto job = std::make_unique<Job>(stored_job(json, folder.string(), {}));
  job->settle(1);
  return job;
}

void add_remade_options(CLI::App& command, std::string& checkpoint, std::string& output) {
  command.add_option("checkpoint", checkpoint, "a run's directory (its newest complete step), or one step's")
      ->required()
      ->type_name("DIR");
  command.add_option("-o,--output", output, "the directory to write a checkpoint to")->required()->type_name("DIR");
}

void check_no_checkpoints(const std::string& directory) {
  ensure(Exit::usage, checkpoint::step_folders(directory).empty(), directory,
         " holds checkpoints already: name another directory");
}

std::size_t write_remade(const std::string& directory, OpenedModel& trained, const Job& job,
                         const std::function<std::vector<float>(const Parameter&)>& values_of) {
  const std::unique_ptr<Model> model = job.make_model();
  const RemadeState remade{*model, values_of};
  const std::filesystem::path& folder = trained.opened.folder;
  const std::uint64_t step = checkpoint::read_manifest(folder).step;
  // First what does not count as done without a checkpoint.
  create_folder(directory);
  write_small_file(std::filesystem::path{directory} / "model.json", job.model.dump(1) + "\n");
  checkpoint::save(directory, step, remade.state(), state_of(folder, job), trained.replica.peers(), 0);
  return model->parameters();
}

}  // namespace tranche
