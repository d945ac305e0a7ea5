#include "launcher/commands/commands.h"

#include <CLI/CLI.hpp>

namespace tranche {

void JobOptions::add(CLI::App& command) {
  command.add_option("job", file, "job file (JSON with comments; docs/job-file.md)")->required()->type_name("FILE");
  command
      .add_option_function<std::vector<std::string>>(
          "--set",
          [this](const std::vector<std::string>& all) { overrides.insert(overrides.end(), all.begin(), all.end()); },
          "override a key of the job file; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  add_device(command, overrides);
}

void add_device(CLI::App& command, std::vector<std::string>& overrides) {
  command
      .add_option_function<std::string>(
          "--device", [&overrides](const std::string& type) { overrides.push_back("device.type=" + type); },
          "what computes, as --set device.type does")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
}

void add_commands(CLI::App& app, Chosen& chosen) {
  app.description("Tranche trains models that do not fit on one rank.");
  app.footer(
      "Under MPI: tranche launch -n 4 job.json, or mpirun -np 4 tranche train job.json. Exit codes are listed in "
      "docs/errors.md.");
  app.require_subcommand(1);
  add_tokenize(app, chosen);
  add_train(app, chosen);
  add_launch(app, chosen);
  add_evaluate(app, chosen);
  add_generate(app, chosen);
  add_plan(app, chosen);
  add_config(app, chosen);
  add_checkpoint(app, chosen);
  add_calibrate(app, chosen);
  add_store_logits(app, chosen);
  add_compress(app, chosen);
  add_report(app, chosen);
  add_top(app, chosen);
  add_doctor(app, chosen);
  add_version(app, chosen);
}

}  // namespace tranche
