// manifest.json: what a checkpoint folder holds. Its presence means that the checkpoint is complete.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/checkpoint/state.h"

namespace tranche::checkpoint {

inline constexpr const char* manifest_name = "manifest.json";
inline constexpr const char* whole_state_name = "state.h5";

struct StoredFile {
  std::string name;
  std::uint64_t size = 0;  // bytes
  std::string checksum;    // XXH3, 128 bits; of a tranche file what tranche_file.h says, of others all of it
  bool operator==(const StoredFile&) const = default;
};

struct Manifest {
  std::uint64_t step = 0;
  std::size_t ranks = 0;  // that wrote it: as many tranche files
  std::vector<std::string> kinds;
  std::vector<UnitLayout> units;
  // [unit][rank]: rank r wrote elements boundaries[u][r] .. boundaries[u][r + 1] of the unit; ranks + 1 of them.
  std::vector<std::vector<std::size_t>> boundaries;
  JobState state;
  std::vector<StoredFile> files;
};

// "tranche-0003-of-0008.h5"
std::string tranche_name(std::size_t rank, std::size_t ranks);
// "parameters/wte.weight": in tranche files the part that the rank wrote, one-dimensional; in state.h5 all of it.
std::string dataset_name(const std::string& kind, const std::string& tensor);

// JSON that contains a checksum of itself (all its bytes, with zeros where the checksum stands).
std::string text_of(const Manifest& manifest);
// Throws Exit::checkpoint, naming the file, if it is missing, damaged, or of another version.
Manifest read_manifest(const std::filesystem::path& folder);

// Reads all of a file but what is left out, whose bytes have checksums of their own.
struct ByteRange {
  std::uint64_t first = 0, count = 0;
};
StoredFile describe_file(const File& file, std::vector<ByteRange> left_out = {});

}  // namespace tranche::checkpoint
