// tranche evaluate: the loss of a job's newest checkpoint on its validation file.
#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/commands/commands.h"

namespace tranche {
namespace {

struct Options {
  JobOptions job;
  std::string checkpoint;
  std::size_t samples = 0;
};

Exit run(const Options&) { fail(Exit::internal, "evaluate is not assembled yet"); }

}  // namespace

void add_evaluate(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Print the loss of a job's newest checkpoint on its data.validation");
  options->job.add(*command);
  command
      ->add_option("--checkpoint", options->checkpoint,
                   "a run's directory or one step's, instead of checkpoint.directory")
      ->type_name("DIR");
  command->add_option("--samples", options->samples, "how many samples from the file's start; 0: all")
      ->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
