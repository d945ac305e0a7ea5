// Writing a checkpoint: old or new, whatever happens (directory.h has the names and the order).
#pragma once

#include <filesystem>

#include "runtime/checkpoint/peers.h"
#include "runtime/checkpoint/state.h"

namespace tranche::checkpoint {

// Collective. Every rank writes its slices to a file of its own, rank 0 the rest; returns when the checkpoint is
// durable under directory/step-000500. In rank order the slices of a unit must lie behind one another and cover it
// (`written_by`). Keeps the `keep` newest checkpoints, this one among them; 0 keeps all.
// Throws, on every rank, what went wrong on any: Exit::storage for a disk that is full or fails. Then the checkpoints
// that were there are still there, and the partial folder is removed as far as the disk allows.
std::filesystem::path save(const std::filesystem::path& directory, std::uint64_t step, const ModelState& model,
                           const JobState& job, const Peers& peers, std::size_t keep);

}  // namespace tranche::checkpoint
