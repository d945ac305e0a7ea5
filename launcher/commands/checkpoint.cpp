// tranche checkpoint inspect|verify|digest: what a checkpoint holds, whether it is whole, and its logical state as one
// hash.
#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/commands/commands.h"

namespace tranche {
namespace {

Exit inspect(const std::string&) { fail(Exit::internal, "checkpoint inspect is not assembled yet"); }
Exit verify(const std::string&) { fail(Exit::internal, "checkpoint verify is not assembled yet"); }
Exit digest(const std::string&) { fail(Exit::internal, "checkpoint digest is not assembled yet"); }

void add(CLI::App& parent, Chosen& chosen, const std::string& name, const std::string& about,
         Exit (*run)(const std::string&)) {
  auto directory = std::make_shared<std::string>();
  CLI::App* command = parent.add_subcommand(name, about);
  command->add_option("checkpoint", *directory, "a run's directory (its newest complete step), or one step's")
      ->required()
      ->type_name("DIR");
  command->callback([directory, run, &chosen] { chosen = [directory, run] { return run(*directory); }; });
}

}  // namespace

void add_checkpoint(CLI::App& app, Chosen& chosen) {
  CLI::App* command = app.add_subcommand("checkpoint", "Look at a checkpoint");
  command->require_subcommand(1);
  add(*command, chosen, "inspect", "Print what it holds", inspect);
  add(*command, chosen, "verify", "Read every byte and compare checksums", verify);
  add(*command, chosen, "digest", "Print the SHA-256 of the logical state, whatever ranks and stage wrote it", digest);
}

}  // namespace tranche
