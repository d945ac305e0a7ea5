#include "runtime/checkpoint/tranche_file.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "runtime/checkpoint/two_threads.h"
#include "runtime/hdf5/file.h"

namespace tranche::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t block_bytes = std::uint64_t{1} << 20;
const std::string checksums_name = "checksums";

std::uint64_t blocks_of(std::uint64_t bytes) { return (bytes + block_bytes - 1) / block_bytes; }

Checksum::Bytes checksum_of(std::span<const std::byte> bytes) {
  Checksum checksum;
  checksum.add(bytes);
  return checksum.bytes();
}

// Bytes of a slice, and where in the file they go.
struct Block {
  std::uint64_t place, in_slice;
  std::size_t bytes;
};

}  // namespace

StoredFile write_tranche_file(const fs::path& path, std::uint64_t step, std::span<const SliceParts> all) {
  std::vector<std::vector<Block>> blocks(all.size());  // of each slice
  std::vector<ByteRange> values;
  std::size_t count = 0;  // of blocks
  std::uint64_t place_of_checksums = 0;
  {
    hdf5::File structure = hdf5::File::create(path);
    structure.set_attribute("step", static_cast<std::int64_t>(step));
    for (std::size_t i = 0; i < all.size(); ++i)
      for (const Part& part : all[i].parts) {
        hdf5::Dataset array = structure.create_contiguous(part.name, hdf5::Type::float32, part.count);
        array.set_attribute("first", static_cast<std::int64_t>(part.first));
        array.set_attribute("checksums", static_cast<std::int64_t>(count));
        const std::uint64_t place = array.place(), bytes = part.count * sizeof(float);
        values.push_back({place, bytes});
        for (std::uint64_t at = 0; at < bytes; at += block_bytes, ++count)
          blocks[i].push_back({place + at, part.in_slice * sizeof(float) + at,
                               static_cast<std::size_t>(std::min(block_bytes, bytes - at))});
      }
    if (count != 0)
      place_of_checksums =
          structure.create_contiguous(checksums_name, hdf5::Type::uint8, count * sizeof(Checksum::Bytes)).place();
    structure.close();
  }
  File file = File::open_to_write(path);
  std::vector<Checksum::Bytes> checksums(count);
  std::size_t first = 0;  // of the slice's
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (blocks[i].empty()) continue;
    const Borrowed borrowed = all[i].slice.borrow();
    const std::span<const std::byte> bytes = std::as_bytes(borrowed.elements);
    on_two_threads(blocks[i].size(), [&](std::size_t b) {
      const Block& block = blocks[i][b];
      const std::span<const std::byte> of_block = bytes.subspan(block.in_slice, block.bytes);
      checksums[first + b] = checksum_of(of_block);
      file.write(block.place, of_block);
    });
    first += blocks[i].size();
  }
  file.write(place_of_checksums, std::as_bytes(std::span{checksums}));
  StoredFile description = describe_file(file, std::move(values));
  file.sync();
  file.close();
  return description;
}

// What is asked of one block: `into` from byte `first` of the block on; nothing to only check it.
struct TrancheFile::Piece {
  const std::string& name;
  const Array& array;
  std::uint64_t block, first = 0;
  std::span<std::byte> into = {};
};

TrancheFile::TrancheFile(const fs::path& path) : file_(File::open(path)) {
  const hdf5::File structure = hdf5::File::open(path, Exit::checkpoint);
  const std::uint64_t size = file_.size();
  const auto range_of = [&](const hdf5::Dataset& dataset, hdf5::Type type) {
    const ByteRange range{dataset.place(), dataset.size() * hdf5::bytes_of(type)};
    ensure(Exit::checkpoint, dataset.type() == type && range.first <= size && range.count <= size - range.first,
           dataset.name(), " of ", path.string(), " is not an array of a checkpoint");
    return range;
  };
  std::vector<ByteRange> values;
  for (const std::string& name : structure.datasets()) {
    const hdf5::Dataset dataset = structure.dataset(name);
    if (name == checksums_name) {
      const ByteRange range = range_of(dataset, hdf5::Type::uint8);
      checksums_.resize(range.count / sizeof(Checksum::Bytes));
      file_.read(range.first, std::as_writable_bytes(std::span{checksums_}));
    } else {
      values.push_back(range_of(dataset, hdf5::Type::float32));
      arrays_[name] = {values.back().first, values.back().count,
                       static_cast<std::size_t>(dataset.integer_attribute("checksums"))};
    }
  }
  for (const auto& [name, array] : arrays_)
    ensure(Exit::checkpoint,
           array.first_block <= checksums_.size() && blocks_of(array.bytes) <= checksums_.size() - array.first_block,
           name, " of ", path.string(), " has too few checksums");
  description_ = describe_file(file_, std::move(values));
}

const TrancheFile::Array& TrancheFile::array(const std::string& name) const {
  const auto found = arrays_.find(name);
  ensure(Exit::checkpoint, found != arrays_.end(), file_.path().string(), " has no array ", name);
  return found->second;
}

void TrancheFile::read_piece(const Piece& piece) const {
  const std::uint64_t begin = piece.block * block_bytes;
  const std::size_t size = std::min(block_bytes, piece.array.bytes - begin);
  const auto scratch = piece.into.size() == size ? nullptr : std::make_unique_for_overwrite<std::byte[]>(size);
  const std::span<std::byte> block = scratch ? std::span{scratch.get(), size} : piece.into;
  file_.read(piece.array.place + begin, block);
  ensure(Exit::checkpoint, checksum_of(block) == checksums_[piece.array.first_block + piece.block],
         file_.path().string(), " is damaged: a checksum of ", piece.name, " does not fit its content");
  if (scratch && !piece.into.empty()) std::memcpy(piece.into.data(), block.data() + piece.first, piece.into.size());
}

void TrancheFile::read(std::span<const ArrayRange> ranges) const {
  std::vector<Piece> pieces;
  for (const ArrayRange& range : ranges) {
    const Array& from = array(range.name);
    std::span<std::byte> into = std::as_writable_bytes(range.into);
    std::uint64_t first = range.first * sizeof(float);
    ensure(Exit::checkpoint, first <= from.bytes && into.size() <= from.bytes - first, range.name, " of ",
           file_.path().string(), " is too short");
    while (!into.empty()) {
      const std::uint64_t block = first / block_bytes, in_block = first % block_bytes;
      const std::size_t count = std::min(block_bytes - in_block, into.size());
      pieces.push_back({range.name, from, block, in_block, into.first(count)});
      into = into.subspan(count);
      first += count;
    }
  }
  on_two_threads(pieces.size(), [&](std::size_t i) { read_piece(pieces[i]); });
}

void TrancheFile::check(const std::string& name) const {
  const Array& whole = array(name);
  on_two_threads(blocks_of(whole.bytes), [&](std::size_t block) { read_piece({name, whole, block}); });
}

}  // namespace tranche::checkpoint
