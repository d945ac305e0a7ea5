// Reading checkpoints: any number of ranks loads what any number wrote.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/checkpoint/directory.h"
#include "runtime/checkpoint/manifest.h"
#include "runtime/checkpoint/peers.h"
#include "runtime/checkpoint/state.h"

namespace tranche::checkpoint {

// Collective. Checks every file of the checkpoint against its checksum, the ranks sharing the work, and fills the
// slices, each rank reading only the parts of files that it asked for. Kinds the checkpoint has and `model` does not
// ask for are left. Returns what the manifest says. Throws Exit::checkpoint, on every rank: a damaged file (with the
// tensor that the damage is in), or another model (with the first tensor that differs). Slices may then have been
// filled in part.
// left_out(name of a tensor): whether the checkpoint may have it beside the model's.
using LeftOut = std::function<bool(const std::string&)>;
Manifest load(
    const std::filesystem::path& folder, const ModelState& model, const Peers& peers,
    const LeftOut& left_out = [](const std::string&) { return false; });

// The same of a model whose tensors are some of the checkpoint's.
Manifest load_part(const std::filesystem::path& folder, const ModelState& model, const Peers& peers);

// Collective. Loads the newest checkpoint of the directory that is complete and undamaged; older ones are tried only
// where a newer one is not. Nothing if there is none at all. One of another model throws.
struct Resumed {
  std::filesystem::path folder;
  Manifest manifest;
};
struct Resumption {
  std::optional<Resumed> found;
  std::vector<Skipped> skipped;  // newer ones, and why
};
Resumption load_newest(const std::filesystem::path& directory, const ModelState& model, const Peers& peers);

}  // namespace tranche::checkpoint
