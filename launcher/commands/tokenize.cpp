// tranche tokenize: text files become one token file.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "launcher/commands/commands.h"
#include "runtime/data/token_file.h"
#include "runtime/data/tokenize_files.h"
#include "runtime/data/tokenizer.h"

namespace tranche {
namespace {

struct Options {
  std::string tokenizer, output;
  std::vector<std::string> inputs;
};

Exit run(const Options& options) {
  const std::unique_ptr<Tokenizer> tokenizer = open_tokenizer(options.tokenizer);
  const std::vector<std::filesystem::path> inputs{options.inputs.begin(), options.inputs.end()};
  const bool watched = ::isatty(STDERR_FILENO) == 1;
  const auto show = [](const TokenizeProgress& progress) {
    std::cerr << "\r" << progress.tokens << " tokens, "
              << 100 * progress.bytes_read / std::max<std::uint64_t>(progress.bytes_in_all, 1) << " % " << std::flush;
  };
  const TokenizeProgress done = tokenize_files(*tokenizer, inputs, options.output,
                                               watched ? show : std::function<void(const TokenizeProgress&)>{});
  if (watched) std::cerr << "\r\033[K";
  std::cout << options.output << ": " << done.tokens << " tokens from " << done.bytes_read << " bytes, "
            << tokenizer->identity() << "\n";
  return Exit::success;
}

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
