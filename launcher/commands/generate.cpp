// tranche generate: text that a checkpoint's model goes on with.
#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/commands/commands.h"

namespace tranche {
namespace {

struct Options {
  std::string checkpoint, prompt = "\n";
  std::size_t tokens = 256, top_k = 0;
  double temperature = 1, top_p = 1;
  std::uint64_t seed = 1;
};

Exit run(const Options&) { fail(Exit::internal, "generate is not assembled yet"); }

}  // namespace

void add_generate(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("generate", "Print text that a checkpoint's model makes");
  command->add_option("checkpoint", options->checkpoint, "a run's directory (its newest complete step), or one step's")
      ->required()
      ->type_name("DIR");
  command->add_option("--prompt", options->prompt, "what the text begins with; by default a line break")
      ->type_name("TEXT");
  command->add_option("--tokens", options->tokens, "how many to make")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  command->add_option("--temperature", options->temperature, "0: always the likeliest token")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command->add_option("--top-k", options->top_k, "among so many of the likeliest; 0: all")->capture_default_str();
  command->add_option("--top-p", options->top_p, "among the likeliest that have this probability together")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of the random choice")->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
