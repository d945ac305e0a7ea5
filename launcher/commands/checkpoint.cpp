// tranche checkpoint inspect|verify|digest: what a checkpoint holds, whether it is whole, and its logical state as one
// hash.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "launcher/commands/commands.h"
#include "runtime/checkpoint/digest.h"
#include "runtime/checkpoint/directory.h"
#include "runtime/checkpoint/verify.h"

namespace tranche {
namespace {

Exit inspect(const std::string& path) {
  std::cout << checkpoint::inspect(checkpoint::resolve(path));
  return Exit::success;
}

Exit verify(const std::string& path) {
  const std::filesystem::path folder = checkpoint::resolve(path);
  const std::vector<checkpoint::Damage> damages = checkpoint::verify(folder);
  ensure(Exit::checkpoint, damages.empty(), folder.string(), " is damaged: ", text_of(damages));
  std::cout << folder.string() << ": every byte is as it was written\n";
  std::string newer;  // of a run's directory: it is not whole if its newest step is not
  for (const checkpoint::Skipped& each : checkpoint::find_newest_complete(path).skipped)
    newer += str("\n  ", each.folder.string(), ": ", each.reason);
  ensure(Exit::checkpoint, newer.empty(), "newer than that, but not complete:", newer);
  return Exit::success;
}

Exit digest(const std::string& path) {
  std::cout << checkpoint::digest(checkpoint::resolve(path)) << "\n";
  return Exit::success;
}

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
