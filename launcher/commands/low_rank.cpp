// tranche compress low-rank: a trained model whose linears are products of two smaller ones, as a checkpoint.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iomanip>
#include <memory>

#include "compress/low_rank.h"
#include "launcher/commands/commands.h"
#include "launcher/model_inputs.h"
#include "launcher/ranks.h"
#include "launcher/remade_checkpoint.h"
#include "launcher/table.h"

namespace tranche {
namespace {

struct Options {
  std::string checkpoint, output, error = "weights", data;
  std::size_t samples = 128;
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
  ensure(Exit::usage, options.error == "weights" || options.error == "outputs", "--error ", options.error,
         ": expected weights or outputs");
  ensure(Exit::usage, options.error == "outputs" || options.data.empty(), "--data is for --error outputs alone");
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

// What is cut where the outputs of these linears lose least.
compress::Decomposing by_outputs(const compress::InputProducts& products) {
  return [&](const std::string& name, const Shape& shape, std::span<const float> weight) {
    return compress::singular_values_of_outputs(name, shape, weight, products.at(name));
  };
}

Exit factor_checkpoint(const Options& options, Session& session) {
  check_one_rank("compress low-rank", session);
  check_options(options);
  check_no_checkpoints(options.output);
  const bool looks = options.error == "outputs";
  compress::WatchedLinears watched;
  OpenedModel whole{open_checkpoint(options.checkpoint, session), session, {.linears = looks ? &watched : nullptr}};
  const Job& trained = *whole.opened.job;
  ensure(Exit::usage, trained.model_config.ranks.empty(), options.checkpoint,
         " is of a model whose linears are products already: begin with the one that it was made of");
  compress::Modules modules;
  if (!options.modules.empty()) modules.patterns = compress::read_patterns(Json(options.modules), "--modules");
  const compress::InputProducts products =
      looks ? ModelInputs{whole, watched, options.data, options.samples}.products() : compress::InputProducts{};
  const compress::Decompositions linears = compress::decompose(
      whole.units(), [&](const Unit& unit) { return whole.values_of(unit); }, modules,
      looks ? by_outputs(products) : compress::Decomposing{compress::singular_values});
  const std::size_t before = whole.replica.model().parameters();
  const LinearRanks ranks = compress::choose_ranks(linears, options.choice, before);

  Json model = trained.model;
  for (const auto& [linear, rank] : ranks) model["low_rank"][linear] = rank;
  const std::unique_ptr<Job> job = job_of_remade(whole.opened.folder, model);
  TrainedValues old{whole};
  const std::size_t after = write_remade(options.output, whole, *job, [&](const Parameter& each) {
    return compress::factored_values(each, linears, ranks, [&](const std::string& name) { return old.of(name); });
  });
  tell(options, linears, ranks, before, after);
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
  add_remade_options(*command, options->checkpoint, options->output);
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
      ->add_option("--error", options->error,
                   "of what the least is left: weights; or outputs, by what a token file shows of the inputs")
      ->capture_default_str();
  command->add_option("--data", options->data, "of outputs: token file; by default the job's data.train")
      ->type_name("FILE");
  command->add_option("--samples", options->samples, "of outputs: how many from the file's start; 0: all")
      ->capture_default_str();
  command
      ->add_option("--modules", options->modules,
                   "only linears whose name has a match of one of these regular expressions, such as mlp")
      ->type_name("REGEX");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
