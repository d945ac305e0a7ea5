// A packed model: one HDF5 file.
//
//   /contents   uint8, JSON: the scheme, the job that trained the model, where each tensor lies in /bytes
//   /tokenizer  uint8, what defines the tokenizer (absent for bytes)
//   /bytes      uint8, every tensor's scales (float32, (out, groups)) and values, row by row, little-endian: int8 as
//   two's
//               complement; of int4 two, of int2 four and of signs eight in a byte, the first in the lowest bits, rows
//               beginning with a byte; of sparse forms indices and float32 values (compress/sparse_tensor.h)
//   attributes  format "tranche packed", version 1, tokenizer (its kind), checksum (XXH3, 128 bits, of the three)
//
// Nothing in it depends on the machine: kernels' own order is made when it is loaded.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compress/range.h"
#include "compress/scheme.h"
#include "runtime/base/checksum.h"
#include "runtime/base/json.h"
#include "runtime/hdf5/file.h"

namespace tranche::compress {

struct PackedTensor {
  std::string name;
  Shape shape;
  TensorForm form = TensorForm::float32;
  std::size_t group = 0;        // of integers
  std::vector<float> scales{};  // of integers: (out, groups), each from 2^-100 to 2^100
  std::vector<std::byte> values{};
  std::size_t stored = 0;               // of sparse forms: how many values are there
  std::optional<ScaleAndZero> input{};  // of int8_static: of what the weight multiplies, levels 0 .. 255

  ops::QuantizationGrid grid() const { return {shape.rows(), shape.cols(), group}; }
  std::size_t value_bytes() const;  // that the shape asks for

  // Of integers, whose values are there: q of an element.
  std::int32_t level(std::size_t row, std::size_t col) const;
  void set_level(std::size_t row, std::size_t col, std::int32_t q);  // where no bit was

 private:
  std::size_t byte_of(std::size_t row, std::size_t col) const;
};

// What a file says beside its tensors.
struct PackedDescription {
  Scheme scheme = Scheme::int8_dynamic;
  Json job;  // effective
  std::string tokenizer_kind, tokenizer_bytes;
};

// Writes `path`.partial; finish makes it durable and renames it. Destroyed without it, it removes what it wrote.
class PackedWriter {
 public:
  explicit PackedWriter(const std::filesystem::path& path);
  ~PackedWriter();
  PackedWriter(const PackedWriter&) = delete;
  PackedWriter& operator=(const PackedWriter&) = delete;

  void append(const PackedTensor& tensor);
  void finish(const PackedDescription& description);  // returns when it is durable

 private:
  void append(std::span<const std::byte> bytes);

  std::filesystem::path path_, partial_;
  hdf5::File file_;
  hdf5::Dataset bytes_;
  Json tensors_ = Json::array();
  std::uint64_t size_ = 0;
  Checksum checksum_;
  bool finished_ = false;
};

// Reads and checks all of it. Throws Exit::checkpoint, naming the file and what is wrong: not a packed model, another
// version, truncated, damaged, a tensor beyond its bytes, a scale that is none.
class PackedFile {
 public:
  explicit PackedFile(const std::filesystem::path& path);

  const PackedDescription& description() const { return description_; }
  const std::filesystem::path& path() const { return path_; }
  std::size_t tensors() const { return entries_.size(); }
  const PackedTensor& entry(std::size_t i) const { return entries_[i].tensor; }  // without scales and values
  PackedTensor read(std::size_t i) const;
  std::uint64_t bytes() const;  // of the file

 private:
  struct Entry {
    PackedTensor tensor;
    std::uint64_t offset = 0;
  };
  void read_contents(const std::string& contents);
  void verify(const std::string& contents);

  std::filesystem::path path_;
  hdf5::File file_;
  hdf5::Dataset bytes_;
  PackedDescription description_;
  std::vector<Entry> entries_;
};

}  // namespace tranche::compress
