// Any range of any tensor of a checkpoint, from the tranche files that hold it.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "runtime/checkpoint/manifest.h"
#include "runtime/hdf5/file.h"

namespace tranche::checkpoint {

// Opens a file when it first needs it, and reads the chunks (1 MiB) that hold what is asked for. One thread at a time.
class Reader {
 public:
  Reader(std::filesystem::path folder, const Manifest& manifest);  // the manifest must outlive it

  // Elements first .. first + into.size() of a tensor, which must have them.
  void read(const std::string& kind, const std::string& tensor, std::size_t first, std::span<float> into);

 private:
  struct Place {
    std::size_t unit, offset;  // of the tensor in the unit's flat layout
  };
  hdf5::File& file(std::size_t rank);

  std::filesystem::path folder_;
  const Manifest& manifest_;
  std::map<std::string, Place> places_;
  std::map<std::size_t, hdf5::File> files_;
};

}  // namespace tranche::checkpoint
