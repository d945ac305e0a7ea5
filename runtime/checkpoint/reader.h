// Any range of any tensor of a checkpoint, from the tranche files that hold it.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "runtime/checkpoint/manifest.h"
#include "runtime/checkpoint/tranche_file.h"

namespace tranche::checkpoint {

// The arrays that a rank's file has, of these kinds.
std::vector<std::string> arrays_of(const Manifest& manifest, std::size_t rank, const std::vector<std::string>& kinds);

// Elements first .. first + into.size() of a tensor, which must have them.
struct TensorPart {
  std::string kind, tensor;
  std::size_t first = 0;
  std::span<float> into;
};

// Opens a file when it first needs it. One thread at a time. Throws Exit::checkpoint where a file is not what the
// manifest says, or a block that is read has not its checksum.
class Reader {
 public:
  Reader(std::filesystem::path folder, const Manifest& manifest);  // the manifest must outlive it

  void read(std::span<const TensorPart> parts);
  void check_tranche(std::size_t rank, const std::vector<std::string>& kinds);  // its structure, and all of these kinds
  void check_whole_state() const;

 private:
  struct Place {
    std::size_t unit, offset;  // of the tensor in the unit's flat layout
  };
  const StoredFile& stored(const std::string& name) const;
  const TrancheFile& file(std::size_t rank);

  std::filesystem::path folder_;
  const Manifest& manifest_;
  std::map<std::string, Place> places_;
  std::map<std::size_t, TrancheFile> files_;
};

}  // namespace tranche::checkpoint
