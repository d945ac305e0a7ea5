// tranche tokenize: text files become one token file.
#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/commands/commands.h"

namespace tranche {
namespace {

struct Options {
  std::string tokenizer, output;
  std::vector<std::string> inputs;
};

Exit run(const Options&) { fail(Exit::internal, "tokenize is not assembled yet"); }

}  // namespace

void add_tokenize(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("tokenize", "Turn text files into a token file (HDF5)");
  command
      ->add_option(
          "--tokenizer", options->tokenizer,
          "byte; a SentencePiece .model; a tokenizer.json; a vocab.json with merges.txt beside it; or their folder")
      ->required()
      ->type_name("NAME");
  command->add_option("--output,-o", options->output, "token file to write")->required()->type_name("FILE");
  command->add_option("text", options->inputs, "text files, in this order")->required()->type_name("FILE");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
