// What the program can do: one file for each command. `add_x` declares the command and its options; what `chosen` is
// set to then does the work and gives the exit code. Errors leave as exceptions; main prints them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/base/error.h"

namespace CLI {
class App;
}

namespace tranche {

using Chosen = std::function<Exit()>;  // empty: no command was given

void add_tokenize(CLI::App& app, Chosen& chosen);
void add_train(CLI::App& app, Chosen& chosen);
void add_launch(CLI::App& app, Chosen& chosen);
void add_evaluate(CLI::App& app, Chosen& chosen);
void add_generate(CLI::App& app, Chosen& chosen);
void add_plan(CLI::App& app, Chosen& chosen);
void add_config(CLI::App& app, Chosen& chosen);
void add_checkpoint(CLI::App& app, Chosen& chosen);
void add_calibrate(CLI::App& app, Chosen& chosen);
void add_store_logits(CLI::App& app, Chosen& chosen);
void add_compress(CLI::App& app, Chosen& chosen);
// Of add_compress.
void add_low_rank(CLI::App& compress, Chosen& chosen);
void add_prune_structure(CLI::App& compress, Chosen& chosen);
void add_compress_report(CLI::App& compress, Chosen& chosen);
void add_report(CLI::App& app, Chosen& chosen);
void add_top(CLI::App& app, Chosen& chosen);
void add_doctor(CLI::App& app, Chosen& chosen);
void add_version(CLI::App& app, Chosen& chosen);

// Declares the program: its help, and all commands.
void add_commands(CLI::App& app, Chosen& chosen);

// A job file and what the command line changes in it.
struct JobOptions {
  std::string file;
  std::vector<std::string> overrides;

  void add(CLI::App& command);  // JOB, --set and --device
};

// --device: its override of the job's "device.type" goes to `overrides`, which outlives the command.
void add_device(CLI::App& command, std::vector<std::string>& overrides);

}  // namespace tranche
