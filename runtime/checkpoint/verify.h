// Is every byte of a checkpoint as it was written?
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/checkpoint/manifest.h"
#include "runtime/checkpoint/peers.h"

namespace tranche::checkpoint {

struct Damage {
  std::string file;  // "tranche-0003-of-0008.h5"
  std::string what;  // "... in parameters/wte.weight"
};
std::string text_of(const std::vector<Damage>& damages);  // one after another, "; " between them

// Reads all of a checkpoint folder and says what is damaged; nothing if all is as it was written. Throws
// Exit::checkpoint if the manifest itself is missing or damaged.
std::vector<Damage> verify(const std::filesystem::path& folder);

// Collective. The same; each rank reads every size-th file. All get the same answer.
std::vector<Damage> verify_together(const std::filesystem::path& folder, const Manifest& manifest, const Peers& peers);

}  // namespace tranche::checkpoint
