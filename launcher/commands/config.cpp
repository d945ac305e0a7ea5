// tranche config: the effective job, with where each value came from; or the reference of all keys.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "launcher/commands/commands.h"
#include "launcher/job.h"
#include "runtime/base/log.h"

namespace tranche {
namespace {

struct Options {
  JobOptions job;
  std::size_t ranks = 1;
  bool reference = false;
};

Exit run(const Options& options) {
  if (options.reference) {
    std::cout << Job{}.reference();
    return Exit::success;
  }
  Job job{read_job(options.job.file, options.job.overrides)};
  job.settle(options.ranks);
  std::cout << job.annotated();
  for (const std::string& line : job.without_effect()) log::info(line);
  log::info(str("a step is ", job.batch.deal.micro_batches, " micro-batches of ", job.batch.micro_batch_size,
                " samples, ", job.batch.accumulation(), " on each of ", options.ranks,
                options.ranks == 1 ? " rank" : " ranks"));
  return Exit::success;
}

}  // namespace

void add_config(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("config", "Print the effective job, with where each value came from");
  options->job.add(*command);
  command->add_option("--ranks", options->ranks, "number of ranks to check the batch for")
      ->check(CLI::Range(1, 1 << 20));
  command->add_flag("--reference", options->reference, "print the page docs/job-file.md instead");
  command->get_option("job")->required(false);
  command->callback([options, &chosen] {
    if (!options->reference && options->job.file.empty()) throw CLI::RequiredError("job");
    chosen = [options] { return run(*options); };
  });
}

}  // namespace tranche
