// tranche generate: text that a checkpoint's model goes on with.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "launcher/assemble.h"
#include "launcher/commands/commands.h"
#include "launcher/packed.h"
#include "launcher/ranks.h"
#include "launcher/session.h"
#include "runtime/models/generate.h"

namespace tranche {
namespace {

struct Options {
  std::string checkpoint, prompt = "\n";
  std::size_t tokens = 256, top_k = 0;
  double temperature = 1, top_p = 1;
  std::uint64_t seed = 1;
  std::vector<std::string> overrides{};  // of the checkpoint's job
};

// The prompt's text and tokens, and what turns one into the other.
struct Prompt {
  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<Token> tokens;
};
Prompt read_prompt(const Options& options, Session& session, const std::function<TokenizerDefinition()>& definition) {
  Prompt prompt;
  together(session.control(), "tokenizer", [&] {
    prompt.tokenizer = make_tokenizer(definition());
    prompt.tokens = prompt.tokenizer->encode(options.prompt);
    ensure(Exit::usage, !prompt.tokens.empty(), "the prompt is empty: give at least one character with --prompt TEXT");
  });
  return prompt;
}

void continue_text(const Options& options, const Session& session, const Prompt& prompt, Model& model, Device& device) {
  const Tokenizer& tokenizer = *prompt.tokenizer;
  // A token's text may be part of a character, so what is printed is the text so far, less what was printed before.
  std::vector<Token> made = prompt.tokens;
  std::string printed;
  const auto print = [&] {
    const std::string text = tokenizer.decode(made);
    if (session.rank() == 0 && text.starts_with(printed))
      std::fwrite(text.data() + printed.size(), 1, text.size() - printed.size(), stdout);
    std::fflush(stdout);
    printed = text;
  };
  print();
  const Sampling sampling{.temperature = static_cast<float>(options.temperature),
                          .top_k = options.top_k,
                          .top_p = static_cast<float>(options.top_p),
                          .seed = options.seed};
  generate(prompt.tokens, options.tokens, model.config().positions, sampling, 0, next_logits(model, device),
           [&](Token token) {
             if (token == tokenizer.end_of_text()) return false;
             made.push_back(token);
             print();
             return true;
           });
  if (session.rank() == 0) std::puts("");
}

Exit generate_from_checkpoint(const Options& options, Session& session) {
  const OpenedCheckpoint opened = open_checkpoint(options.checkpoint, session, options.overrides);
  const Job& job = *opened.job;
  const Prompt prompt = read_prompt(options, session, [&] { return TokenFile{job.data.train}.tokenizer_definition(); });
  const std::unique_ptr<Device> device = session.make_device(job);
  const std::unique_ptr<CpuDevice> host = session.make_host(job.device, *device);
  SwapDisk disk{job.offload};
  const std::unique_ptr<Communicator> world = session.make_world(*device, job.device);
  Replica replica{job, *world, {*device, *host, disk}};
  replica.load_parameters(opened.folder);
  continue_text(options, session, prompt, replica.model(), *device);
  return Exit::success;
}

Exit generate_from_packed(const Options& options, Session& session) {
  const OpenedPacked opened = open_packed(options.checkpoint, session);
  const compress::PackedDescription& description = opened.file->description();
  const Prompt prompt = read_prompt(options, session, [&] {
    return TokenizerDefinition{description.tokenizer_kind, description.tokenizer_bytes};
  });
  const std::unique_ptr<CpuDevice> device = session.make_cpu_device(opened.job->device);
  PackedReplica replica{*opened.job, *opened.file, *device};
  continue_text(options, session, prompt, replica.model(), *device);
  return Exit::success;
}

Exit run(const Options& options) {
  Session session;
  return or_stop_all(session.control(), [&] {
    return is_packed(options.checkpoint) ? generate_from_packed(options, session)
                                         : generate_from_checkpoint(options, session);
  });
}

}  // namespace

void add_generate(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("generate", "Print text that a checkpoint's model makes");
  command
      ->add_option("checkpoint", options->checkpoint,
                   "a run's directory (its newest complete step), one step's, or a packed model")
      ->required()
      ->type_name("DIR|FILE");
  add_device(*command, options->overrides);
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
