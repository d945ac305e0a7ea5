// The oracle of nearly every parity test: one number for all that two runs must have in common.
#pragma once

#include <filesystem>
#include <string>

namespace tranche::checkpoint {

// SHA-256 (64 hexadecimal digits) of a checkpoint's logical state: every kind of every tensor, both in the order of
// their names, with name, shape and the bits of every element; then every value of JobState::logical, with its name.
// Independent of how many ranks wrote it and of which elements they owned. A value that is not finite enters as one
// token, whichever it is. Streams: needs a few MiB of memory.
// Throws Exit::checkpoint if the checkpoint is incomplete or a tensor cannot be read.
std::string digest(const std::filesystem::path& folder);

// For people: step, ranks, values, files, and a table of tensors.
std::string inspect(const std::filesystem::path& folder);

}  // namespace tranche::checkpoint
