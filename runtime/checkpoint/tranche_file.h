// What one rank wrote. HDF5 gives a tranche file its structure; the values go straight between memory and disk, in
// blocks with a checksum each.
//
//   kind/tensor    float32, in one piece. Attributes: `first`, where in the tensor it begins; `checksums`, which of the
//                  checksums is that of its first block
//   checksums      uint8: XXH3, 128 bits, of every block of 1 MiB of every array; an array's last block may be shorter
//
// The manifest's checksum of the file is of all bytes but the arrays' values: of these checksums, and so of everything.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/checksum.h"
#include "runtime/base/file.h"
#include "runtime/checkpoint/manifest.h"
#include "runtime/checkpoint/state.h"

namespace tranche::checkpoint {

// A part of a tensor, to write as the array `name`; `first` is where in the tensor it begins. Its values are `count`
// from `in_slice` on of the slice.
struct Part {
  std::string name;
  std::size_t first = 0, in_slice = 0, count = 0;
};
struct SliceParts {
  const OwnedSlice& slice;
  std::vector<Part> parts;
};
// Borrows one slice after another. Durable when it returns.
StoredFile write_tranche_file(const std::filesystem::path& path, std::uint64_t step, std::span<const SliceParts> all);

// Elements first .. first + into.size() of the array `name`.
struct ArrayRange {
  std::string name;
  std::size_t first = 0;
  std::span<float> into;
};

// One to read. Throws Exit::checkpoint, with the file and the array, where a checksum does not fit.
class TrancheFile {
 public:
  explicit TrancheFile(const std::filesystem::path& path);  // reads the structure, no values

  // As the manifest should have it. Nothing was compared with it yet.
  const StoredFile& description() const { return description_; }

  // Reads the blocks that hold what is asked for, and checks all of each.
  void read(std::span<const ArrayRange> ranges) const;
  void check(const std::string& name) const;  // all of an array

 private:
  struct Array {
    std::uint64_t place = 0, bytes = 0;
    std::size_t first_block = 0;  // its checksum's index
  };
  struct Piece;
  const Array& array(const std::string& name) const;
  void read_piece(const Piece& piece) const;

  File file_;
  std::map<std::string, Array> arrays_;
  std::vector<Checksum::Bytes> checksums_;
  StoredFile description_;
};

}  // namespace tranche::checkpoint
