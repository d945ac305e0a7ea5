// tranche version: what was built, and what of this machine it uses.
#include <CLI/CLI.hpp>
#include <iostream>

#include "launcher/commands/commands.h"
#include "runtime/ops/instruction_path.h"

namespace tranche {

void add_version(CLI::App& app, Chosen& chosen) {
  app.add_subcommand("version", "Print the version and the instructions in use")->callback([&chosen] {
    chosen = [] {
      std::cout << "tranche " TRANCHE_VERSION ", compiler " __VERSION__ ", instructions "
                << name_of(ops::best_instruction_path()) << "\n";
      return Exit::success;
    };
  });
}

}  // namespace tranche
