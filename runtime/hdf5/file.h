// HDF5 files: named arrays that any HDF5 reader opens. The one place that calls the HDF5 library.
//
//   auto file = hdf5::File::create("train.h5");
//   hdf5::Dataset tokens = file.create_appendable("tokens", hdf5::Type::uint16);
//   tokens.append<std::uint16_t>(some);
//   file.set_attribute("tokenizer", identity);
//   file.close();                                                  // durable when this returns
//
//   const auto file = hdf5::File::open("train.h5", Exit::data);    // what a damaged file exits with
//   file.dataset("tokens").read<std::uint16_t>(first, into);
//
// Threads: every function may be called from any thread; a process-wide lock lets one at a time into the library. One
// File and its Datasets are still one user's at a time: two appends at once have no order.
// Errors: writing and anything the disk refuses is Exit::storage; content that is not what it should be (a foreign or
// truncated file, a failed checksum, another type, a missing name) is the exit given to open. Both name file and
// dataset. Checksums: the file's structure carries the format's own (superblock 3), every chunk a Fletcher32 of its
// values; an array in one piece has none. Writes go through runtime/base/file.h. A file whose writer died before close
// is refused by open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/base/error.h"

namespace tranche::hdf5 {

// Halves are stored as floating point types of their own fields: h5py reads float16 as float16 and bfloat16 as float32.
enum class Type : std::uint8_t { float32, float64, bfloat16, float16, int32, int64, uint8, uint16, uint32, uint64 };
std::string_view name_of(Type type);
std::size_t bytes_of(Type type);

template <class T> struct TypeOf;
template <> struct TypeOf<float> { static constexpr Type value = Type::float32; };
template <> struct TypeOf<double> { static constexpr Type value = Type::float64; };
template <> struct TypeOf<bfloat16> { static constexpr Type value = Type::bfloat16; };
template <> struct TypeOf<float16> { static constexpr Type value = Type::float16; };
template <> struct TypeOf<std::int32_t> { static constexpr Type value = Type::int32; };
template <> struct TypeOf<std::int64_t> { static constexpr Type value = Type::int64; };
template <> struct TypeOf<std::uint8_t> { static constexpr Type value = Type::uint8; };
template <> struct TypeOf<std::uint16_t> { static constexpr Type value = Type::uint16; };
template <> struct TypeOf<std::uint32_t> { static constexpr Type value = Type::uint32; };
template <> struct TypeOf<std::uint64_t> { static constexpr Type value = Type::uint64; };

// Sizes, or coordinates, outermost dimension first; at most 32.
using Extent = std::vector<std::uint64_t>;

// A rectangular part of an array.
struct Box {
  Extent first, count;
  std::uint64_t size() const;
};

// A part of a virtual array and where its values are: `dataset` of `file`, named relative to the virtual array's file.
struct VirtualPiece {
  Box in_whole;
  std::string file, dataset;
  Box in_part;
};

namespace detail {
struct OpenFile;
}

// An array of an open file. Closing the file ends it.
class Dataset {
 public:
  const std::string& name() const { return name_; }
  Type type() const { return type_; }
  Extent extent() const;       // now; appending changes it
  std::uint64_t size() const;  // elements in all
  // Where in the file the values of an array in one piece begin, bytes.
  std::uint64_t place() const;

  // Elements first .. first + values.size() - 1 of a one-dimensional array. T must be the stored type.
  template <class T> void read(std::uint64_t first, std::span<T> values) const {
    read_box(TypeOf<T>::value, {{first}, {values.size()}}, values.data(), values.size());
  }
  template <class T> void write(std::uint64_t first, std::span<const T> values) {
    write_box(TypeOf<T>::value, {{first}, {values.size()}}, values.data(), values.size());
  }
  // A rectangular part, its values in row-major order.
  template <class T> void read(const Box& box, std::span<T> values) const {
    read_box(TypeOf<T>::value, box, values.data(), values.size());
  }
  template <class T> void write(const Box& box, std::span<const T> values) {
    write_box(TypeOf<T>::value, box, values.data(), values.size());
  }
  // Lengthens an appendable array.
  template <class T> void append(std::span<const T> values) {
    append_values(TypeOf<T>::value, values.data(), values.size());
  }

  void set_attribute(const std::string& name, const std::string& value);
  void set_attribute(const std::string& name, std::int64_t value);
  void set_attribute(const std::string& name, double value);
  std::string text_attribute(const std::string& name) const;
  std::int64_t integer_attribute(const std::string& name) const;
  double real_attribute(const std::string& name) const;
  bool has_attribute(const std::string& name) const;

 private:
  friend class File;
  Dataset(std::shared_ptr<detail::OpenFile> file, std::string name, std::int64_t id);
  void read_box(Type type, const Box& box, void* values, std::size_t count) const;
  void write_box(Type type, const Box& box, const void* values, std::size_t count);
  void append_values(Type type, const void* values, std::size_t count);
  std::string where() const;

  std::shared_ptr<detail::OpenFile> file_;
  std::string name_;
  std::shared_ptr<const std::int64_t> id_;
  Type type_;
};

class File {
 public:
  static File create(const std::filesystem::path& path);              // replaces what is there
  static File open(const std::filesystem::path& path, Exit damaged);  // to read

  // Ends writing (or reading); what was written is durable when it returns. A file destroyed without it is let go as if
  // the process had died: nothing is promised of it.
  void close();

  // Names are paths: "parameters/wte.weight". Chunked, each chunk with a checksum; an empty `chunk` picks one of about
  // 1 MiB. Values that are never written read as 0.
  Dataset create_dataset(const std::string& name, Type type, const Extent& extent, const Extent& chunk = {});
  // One dimension, empty at first.
  Dataset create_appendable(const std::string& name, Type type, std::uint64_t chunk = 262144);
  // One dimension of `size` > 0 elements, in one piece: for a caller that writes and reads the bytes at `place()`
  // itself, through runtime/base/file.h, while this file is closed. No checksum, and undefined until it is written.
  Dataset create_contiguous(const std::string& name, Type type, std::uint64_t size);
  // An array (float32 or float64) whose values are in other files. What no piece covers, and what a piece's missing
  // file would hold, reads as NaN.
  void create_virtual(const std::string& name, Type type, const Extent& extent, std::span<const VirtualPiece> pieces);

  Dataset dataset(const std::string& name) const;
  bool has_dataset(const std::string& name) const;
  std::vector<std::string> datasets() const;  // all of them, in order of their names

  // Attributes of the whole file. Keep them short: a long text belongs in a uint8 array.
  void set_attribute(const std::string& name, const std::string& value);
  void set_attribute(const std::string& name, std::int64_t value);
  void set_attribute(const std::string& name, double value);
  std::string text_attribute(const std::string& name) const;
  std::int64_t integer_attribute(const std::string& name) const;
  double real_attribute(const std::string& name) const;
  bool has_attribute(const std::string& name) const;
  const std::filesystem::path& path() const;

 private:
  explicit File(std::shared_ptr<detail::OpenFile> file) : file_(std::move(file)) {}
  std::shared_ptr<detail::OpenFile> file_;
};

}  // namespace tranche::hdf5
