// tranche compress prune-structure: a trained model without some of its heads, neurons and blocks, as a checkpoint.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iomanip>
#include <memory>

#include "compress/importance.h"
#include "compress/shapley.h"
#include "launcher/commands/commands.h"
#include "launcher/ranks.h"
#include "launcher/remade_checkpoint.h"
#include "launcher/table.h"
#include "runtime/train/evaluate.h"

namespace tranche {
namespace {

using compress::Importance;

struct Options {
  std::string checkpoint, output, data, importance = "taylor", scope = "block";
  compress::Parts parts;
  std::size_t samples = 64, orders = 8;
  std::uint64_t seed = 1;
};

void check_options(const Options& options) {
  const compress::Parts& parts = options.parts;
  ensure(Exit::usage, parts.heads || parts.neurons || parts.blocks,
         "give at least one of --heads, --neurons and --layers");
  for (const auto& [name, part] :
       {std::pair{"--heads", parts.heads}, {"--neurons", parts.neurons}, {"--layers", parts.blocks}})
    ensure(Exit::usage, !part || (*part > 0 && *part <= 1), name, " ", part.value_or(0),
           ": expected the part that is left, above 0 and at most 1");
}

// Where a score of each is too dear.
void check_importance(const Options& options, Importance importance) {
  ensure(Exit::usage, importance != Importance::shapley || !options.parts.neurons,
         "--importance shapley computes the loss once for each head or layer in each order, and neurons are too many: "
         "remove those with another importance, before or afterwards");
  ensure(Exit::usage, options.orders > 0, "--orders 0: expected at least 1");
}

compress::Scope scope_named(const std::string& name) {
  ensure(Exit::usage, name == "block" || name == "model", "there is no scope '", name, "': expected block or model");
  return name == "block" ? compress::Scope::block : compress::Scope::model;
}

// Whole, in float32, whatever it was trained with: what scores see of a forward and backward.
OpenedCheckpoint open_whole(const Options& options, Session& session) {
  return open_checkpoint(
      options.checkpoint, session,
      {"zero_optimization.stage=0", R"(zero_optimization.offload_param={"device": "none"})",
       R"(zero_optimization.offload_optimizer={"device": "none"})", "fp16.enabled=false", "bf16.enabled=false"});
}

// How a model is opened for its scores, and what it is shown.
class Scoring {
 public:
  explicit Scoring(const Options& options)
      : options_(options), importance_(compress::importance_named(options.importance)) {
    check_importance(options, importance_);
  }

  Replica::Instead seams() {
    switch (importance_) {
      case Importance::taylor: return {.gradients = &taylor_};
      case Importance::activation: return {.linears = &linears_, .activations = &activation_};
      case Importance::shapley: return {.activations = &players_};
      default: return {};
    }
  }
  compress::Scores of(OpenedModel& model) {
    if (importance_ == Importance::random) return compress::scores_at_random(options_.seed, model.units());
    if (importance_ == Importance::l1 || importance_ == Importance::l2)
      return compress::scores_by_norm(importance_, model.units(),
                                      [&](const Unit& unit) { return model.values_of(unit); });
    const Job& job = *model.opened.job;
    const TokenFile file{options_.data.empty() ? job.data.train : options_.data};
    check_vocabulary(file, job.model_config);
    const compress::Windows windows{file, job.batch.micro_batch_size, job.data.sequence_length, options_.samples};
    const Doing frame{[&] { return "measuring importance on " + file.path().string(); }};
    Model& shown = model.replica.model();
    if (importance_ == Importance::taylor) return taylor_.show(shown, windows, *model.device);
    if (importance_ == Importance::shapley)
      return shapley_values(shown, [&] {
        return evaluate(shown, Objective{}, file, windows.micro_batch_size, windows.sequence_length, windows.samples,
                        *model.world, *model.device)
            .loss;
      });
    return activation_.show(shown, linears_, windows, *model.device);
  }

 private:
  compress::Scores shapley_values(Model& model, const std::function<double()>& loss) {
    compress::Scores scores;
    if (options_.parts.heads) scores.merge(players_.of_heads(model, loss));
    if (options_.parts.blocks) scores.merge(players_.of_blocks(model, loss));
    return scores;
  }

  const Options& options_;
  Importance importance_;
  compress::Players players_{options_.seed, options_.orders};
  compress::TaylorScores taylor_;
  compress::WatchedLinears linears_;
  compress::ActivationScores activation_;
};

void tell(const Options& options, const compress::Dependencies& dependencies, std::size_t blocks,
          const compress::Cut& cut, std::size_t before, std::size_t after) {
  std::vector<Row> rows{{"features", "left", "of", "  in"}};
  rows.push_back({"blocks", str(cut.blocks.size()), str(blocks), ""});
  for (const auto& [name, left] : cut.features) {
    const compress::Dependents& each = dependencies.at(name);
    std::string places;
    for (const compress::Place& place : each.places)
      places += str(places.empty() ? "  " : ", ", place.dimension == 0 ? "rows" : "columns", " of ",
                    place.parameter->name.substr(name.rfind('.') + 1));
    rows.push_back({name, str(left.size()), str(each.count), places});
  }
  std::printf("%s\n%s: %zu of %zu parameters, %.1f %%; its model is %s/model.json\n", aligned(rows, 1).c_str(),
              options.output.c_str(), after, before, 100 * static_cast<double>(after) / static_cast<double>(before),
              options.output.c_str());
}

Exit prune_checkpoint(const Options& options, Session& session) {
  check_one_rank("compress prune-structure", session);
  check_options(options);
  compress::Parts parts = options.parts;
  parts.scope = scope_named(options.scope);
  check_no_checkpoints(options.output);
  Scoring scoring{options};
  OpenedModel whole{open_whole(options, session), session, scoring.seams()};
  const ModelConfig& config = whole.opened.job->model_config;
  const compress::Dependencies dependencies = compress::dependencies_of(whole.units());
  const compress::Cut cut = compress::choose_cut(dependencies, config.layers, scoring.of(whole), parts);

  const Json model = compress::cut_model(whole.opened.job->model, config, dependencies, cut);
  const std::unique_ptr<Job> job = [&] {
    const Doing frame{[] {
      return std::string{
          "making the smaller model: a linear of low rank keeps its rank, so remove heads and neurons "
          "before compress low-rank, or fewer of them"};
    }};
    return job_of_remade(whole.opened.folder, model);
  }();
  TrainedValues old{whole};
  const std::size_t after = write_remade(options.output, whole, *job, [&](const Parameter& each) {
    const std::string name = cut.name_before(each.name);
    return compress::values_left(old.parameter(name), old.of(name), cut);
  });
  tell(options, dependencies, config.layers, cut, whole.replica.model().parameters(), after);
  return Exit::success;
}

Exit run(const Options& options) {
  Session session;
  return or_stop_all(session.control(), [&] { return prune_checkpoint(options, session); });
}

}  // namespace

void add_prune_structure(CLI::App& compress, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = compress.add_subcommand(
      "prune-structure", "Write a checkpoint of a smaller model: without heads, neurons and layers that matter least");
  add_remade_options(*command, options->checkpoint, options->output);
  command->add_option("--heads", options->parts.heads, "the part of the attention heads that is left")
      ->type_name("PART");
  command->add_option("--neurons", options->parts.neurons, "the part of the feed-forward layers' neurons that is left")
      ->type_name("PART");
  command->add_option("--layers", options->parts.blocks, "the part of the layers that is left")->type_name("PART");
  command->add_option("--importance", options->importance, "l1, l2, taylor, activation, shapley or random")
      ->capture_default_str();
  command
      ->add_option("--scope", options->scope,
                   "whether heads and neurons compete within their block, or with those of the whole model")
      ->capture_default_str();
  command
      ->add_option("--data", options->data,
                   "of taylor, activation and shapley: token file; by default the job's data.train")
      ->type_name("FILE");
  command->add_option("--samples", options->samples, "of that, how many from its start; 0: all")->capture_default_str();
  command->add_option("--orders", options->orders, "of shapley: how many random orders of removal are averaged")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of random and shapley")->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
