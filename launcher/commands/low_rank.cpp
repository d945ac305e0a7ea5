// tranche compress low-rank: a trained model whose linears are products of two smaller ones, as a checkpoint.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iomanip>
#include <map>
#include <memory>

#include "compress/low_rank.h"
#include "launcher/commands/commands.h"
#include "launcher/opened_model.h"
#include "launcher/ranks.h"
#include "launcher/table.h"
#include "runtime/base/file.h"

namespace tranche {
namespace {

struct Options {
  std::string checkpoint, output;
  std::vector<std::string> modules;
  compress::RankChoice choice;
};

void check_options(const Options& options) {
  const compress::RankChoice& choice = options.choice;
  ensure(Exit::usage, choice.rank.has_value() + choice.energy.has_value() + choice.size.has_value() == 1,
         "give one of --rank, --energy and --size");
  ensure(Exit::usage, !choice.rank || *choice.rank > 0, "--rank 0: expected at least 1");
  ensure(Exit::usage, !choice.energy || (*choice.energy > 0 && *choice.energy <= 1), "--energy ",
         choice.energy.value_or(0), ": expected a part above 0 and at most 1");
  ensure(Exit::usage, !choice.size || (*choice.size > 0 && *choice.size < 1), "--size ", choice.size.value_or(0),
         ": expected a part above 0 and below 1");
}

// The job that trained the model, of the factored one: what a job file may go on with. Compression during training was
// of other weights.
std::unique_ptr<Job> job_of(const Job& trained, const LinearRanks& ranks, const std::string& name) {
  Json json = trained.effective();
  for (const auto& [linear, rank] : ranks) json["model"]["low_rank"][linear] = rank;
  for (const char* key : {"compression_training", "distillation"}) json.erase(key);
  json["checkpoint"].erase("start_from");
  auto job = std::make_unique<Job>(stored_job(json, name, {}));
  job->settle(1);
  return job;
}

// Values of the units of the factored model, in their flat layouts.
class FactoredState {
 public:
  FactoredState(OpenedModel& whole, Model& model, const compress::Decompositions& linears, const LinearRanks& ranks) {
    std::map<std::string, const Unit*> unit_of;
    std::map<std::string, const Parameter*> old;
    for (const Unit& unit : whole.units())
      for (const Parameter* each : unit.parameters()) {
        unit_of[each->name] = &unit;
        old[each->name] = each;
      }
    compress::UnitValues held;
    const auto value_of = [&](const std::string& name) {
      const auto found = old.find(name);
      check(found != old.end(), "the model has no ", name);
      held = whole.values_of(*unit_of[name]);
      return held.values.subspan(found->second->offset, found->second->shape.size());
    };
    state_.kinds = {"parameters"};
    for (const Unit& unit : model.units()) {
      checkpoint::UnitLayout& layout = state_.units.emplace_back(checkpoint::UnitLayout{unit.name(), {}});
      std::vector<float>& flat = values_.emplace_back();
      for (const Parameter* each : unit.parameters()) {
        layout.tensors.push_back({each->name, each->shape});
        const std::vector<float> values = compress::factored_values(*each, linears, ranks, value_of);
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

void tell(const Options& options, const compress::Decompositions& linears, const LinearRanks& ranks, std::size_t before,
          std::size_t after) {
  const auto percent = [](double part) { return str(std::fixed, std::setprecision(1), 100 * part, " %"); };
  std::vector<Row> rows{{"linear", "(out, in)", "rank", "energy", "size"}};
  for (const auto& [name, svd] : linears) {
    const auto found = ranks.find(name);
    if (found == ranks.end()) {
      rows.push_back({name, str(svd.shape), "whole", percent(1), percent(1)});
      continue;
    }
    const double size =
        static_cast<double>(compress::factored_size(svd.shape, found->second)) / static_cast<double>(svd.shape.size());
    rows.push_back({name, str(svd.shape), str(found->second), percent(svd.energy_of(found->second)), percent(size)});
  }
  std::printf("%s\n%s: %zu of %zu parameters, %s; its model is %s/model.json\n", aligned(rows, 2).c_str(),
              options.output.c_str(), after, before,
              percent(static_cast<double>(after) / static_cast<double>(before)).c_str(), options.output.c_str());
}

Exit factor_checkpoint(const Options& options, Session& session) {
  check_one_rank("compress low-rank", session);
  check_options(options);
  ensure(Exit::usage, checkpoint::step_folders(options.output).empty(), options.output,
         " holds checkpoints already: name another directory");
  OpenedModel whole{open_checkpoint(options.checkpoint, session), session};
  const Job& trained = *whole.opened.job;
  ensure(Exit::usage, trained.model_config.ranks.empty(), options.checkpoint,
         " is of a model whose linears are products already: begin with the one that it was made of");
  compress::Modules modules;
  if (!options.modules.empty()) modules.patterns = compress::read_patterns(Json(options.modules), "--modules");
  const compress::Decompositions linears = compress::decompose(
      whole.units(), [&](const Unit& unit) { return whole.values_of(unit); }, modules);
  const std::size_t before = whole.replica.model().parameters();
  const LinearRanks ranks = compress::choose_ranks(linears, options.choice, before);

  const std::unique_ptr<Job> job = job_of(trained, ranks, options.checkpoint);
  const std::unique_ptr<Model> model = job->make_model();
  const FactoredState factored{whole, *model, linears, ranks};
  const std::uint64_t step = checkpoint::read_manifest(whole.opened.folder).step;
  // First what does not count as done without a checkpoint.
  create_folder(options.output);
  write_small_file(std::filesystem::path{options.output} / "model.json", job->model.dump(1) + "\n");
  checkpoint::save(options.output, step, factored.state(), state_of(whole.opened.folder, *job), whole.replica.peers(),
                   0);
  tell(options, linears, ranks, before, model->parameters());
  return Exit::success;
}

Exit run(const Options& options) {
  Session session;
  return or_stop_all(session.control(), [&] { return factor_checkpoint(options, session); });
}

}  // namespace

void add_low_rank(CLI::App& compress, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = compress.add_subcommand(
      "low-rank", "Write a checkpoint whose linears are products of two smaller ones, by singular values");
  command->add_option("checkpoint", options->checkpoint, "a run's directory (its newest complete step), or one step's")
      ->required()
      ->type_name("DIR");
  command->add_option("-o,--output", options->output, "the directory to write a checkpoint to")
      ->required()
      ->type_name("DIR");
  command->add_option("--rank", options->choice.rank, "of every linear")->type_name("N");
  command
      ->add_option("--energy", options->choice.energy,
                   "the part of each weight's sum of squares that is kept, above 0 and at most 1")
      ->type_name("PART");
  command
      ->add_option("--size", options->choice.size,
                   "the model's parameters as a part of before: the greatest energy that goes")
      ->type_name("PART");
  command
      ->add_option("--modules", options->modules,
                   "only linears whose name has a match of one of these regular expressions, such as mlp")
      ->type_name("REGEX");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
