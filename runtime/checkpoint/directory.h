// The names in a run's checkpoint directory, and in what order they change.
//
//   step-000500/                complete: it was renamed to this when every file in it was durable
//   step-000500.partial/        being written, or being deleted; anything of this name may go
//   step-000500.replaced/       complete, of the same step as a newer one that takes its place
//   latest                      the newest step's name, for people and scripts; nothing here depends on it
//
// A process killed between any two changes leaves every checkpoint either under a name that is found, or whole under
// none. One job at a time writes to a directory; these functions are for its rank 0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tranche::checkpoint {

std::string step_name(std::uint64_t step);                           // "step-000500"
std::optional<std::uint64_t> step_of_name(const std::string& name);  // of "step-000500" and "step-000500.replaced"

// Complete or not, newest step first.
std::vector<std::filesystem::path> step_folders(const std::filesystem::path& directory);

// Makes the directory where it is missing, removes what an earlier process left half done, and makes
// step-000500.partial, empty. Returns it.
std::filesystem::path begin_step(const std::filesystem::path& directory, std::uint64_t step);

// Gives the partial folder, whose files are durable, its name, and points `latest` to it. Returns its new path.
std::filesystem::path finish_step(const std::filesystem::path& directory, std::uint64_t step);

// Deletes complete checkpoints except `newest` and the keep - 1 newest others; keep 0 keeps all.
void delete_old(const std::filesystem::path& directory, std::uint64_t newest, std::size_t keep);

struct Skipped {
  std::filesystem::path folder;
  std::string reason;
};
struct Newest {
  std::optional<std::filesystem::path> folder;
  std::vector<Skipped> skipped;  // newer ones that are not complete, and why
};
// The newest checkpoint whose manifest is there and intact and whose files have their sizes. Reads no tensors: `verify`
// and `load` do.
Newest find_newest_complete(const std::filesystem::path& directory);

// What a path given to a command means: a checkpoint folder itself, or a directory's newest complete checkpoint.
// Throws Exit::checkpoint, with what was skipped, if there is none.
std::filesystem::path resolve(const std::filesystem::path& path);

}  // namespace tranche::checkpoint
