// tranche train: the run that a job file describes.
#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/commands/commands.h"

namespace tranche {
namespace {

struct Options {
  JobOptions job;
  bool resume = false;
};

Exit run(const Options&) { fail(Exit::internal, "train is not assembled yet"); }

}  // namespace

void add_train(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("train", "Train the model of a job file");
  options->job.add(*command);
  command->add_flag(
      "--resume", options->resume,
      "go on from the newest complete checkpoint in checkpoint.directory; from the start if there is none");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
