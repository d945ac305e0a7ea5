#include "compress/packed_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>

#include "compress/sparse_tensor.h"
#include "runtime/base/error.h"
#include "runtime/hdf5/kind.h"

namespace tranche::compress {
namespace {

static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

constexpr hdf5::FileKind packed_kind{.format = "tranche packed",
                                     .version = 1,
                                     .name = "packed model",
                                     .maker = "tranche compress quantize",
                                     .exit = Exit::checkpoint};
constexpr std::uint64_t piece = 1u << 20;            // of /bytes read at once, while it is checked
constexpr std::uint64_t chunk = 16384;               // of /bytes: the last one is stored whole
constexpr std::uint64_t most_elements = 1ull << 40;  // of a tensor: no product of two sizes overflows

std::span<const std::uint8_t> unsigned_bytes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

void store(hdf5::File& file, const std::string& name, std::string_view text) {
  if (text.empty()) return;
  file.create_dataset(name, hdf5::Type::uint8, {text.size()})
      .write<std::uint8_t>(0, unsigned_bytes(std::as_bytes(std::span{text})));
}

std::string text_of(const hdf5::File& file, const std::string& name) {
  if (!file.has_dataset(name)) return {};
  const hdf5::Dataset dataset = file.dataset(name);
  ensure(Exit::checkpoint, dataset.size() <= (1u << 30), file.path().string(), ": /", name, " has ", dataset.size(),
         " bytes, which no description needs");
  std::string text(dataset.size(), '\0');
  dataset.read<std::uint8_t>(0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return text;
}

std::size_t scale_bytes(const PackedTensor& tensor) {
  return is_integer(tensor.form) ? tensor.grid().parameters() * sizeof(float) : 0;
}

Shape shape_of(const Json& sizes, const std::string& where) {
  ensure(Exit::checkpoint, sizes.is_array() && !sizes.empty() && sizes.size() <= Shape::max_dimensions, where,
         ": a shape of ", sizes.size(), " dimensions");
  std::vector<std::size_t> list;
  std::uint64_t elements = 1;
  for (const Json& size : sizes) {
    ensure(Exit::checkpoint, size.is_number_unsigned() && size.get<std::uint64_t>() > 0, where, ": a size of ",
           size.dump());
    ensure(Exit::checkpoint, size.get<std::uint64_t>() <= most_elements / elements, where, ": more than 2^40 elements");
    elements *= size.get<std::uint64_t>();
    list.push_back(size.get<std::size_t>());
  }
  return Shape{std::span<const std::size_t>{list}};
}

}  // namespace

std::size_t PackedTensor::value_bytes() const {
  if (is_sparse(form)) return sparse_bytes(shape, stored);
  if (is_integer(form)) return shape.rows() * pieces_of(shape.cols(), 8 / bits_of(form));
  return shape.size() * bits_of(form) / 8;
}

std::size_t PackedTensor::byte_of(std::size_t row, std::size_t col) const {
  const std::size_t in_byte = 8 / bits_of(form);
  return row * pieces_of(shape.cols(), in_byte) + col / in_byte;
}

std::int32_t PackedTensor::level(std::size_t row, std::size_t col) const {
  const unsigned bits = bits_of(form), at = static_cast<unsigned>(col % (8 / bits)) * bits;
  const std::uint32_t found = static_cast<std::uint32_t>(values[byte_of(row, col)]) >> at & (0xFFu >> (8 - bits));
  if (form == TensorForm::signs) return found == 0 ? -1 : 1;
  const std::uint32_t half = 1u << (bits - 1);
  return static_cast<std::int32_t>(found ^ half) - static_cast<std::int32_t>(half);  // two's complement
}

void PackedTensor::set_level(std::size_t row, std::size_t col, std::int32_t q) {
  const unsigned bits = bits_of(form), at = static_cast<unsigned>(col % (8 / bits)) * bits;
  const std::uint32_t held = form == TensorForm::signs ? (q > 0 ? 1u : 0u) : static_cast<std::uint32_t>(q);
  values[byte_of(row, col)] |= static_cast<std::byte>((held & (0xFFu >> (8 - bits))) << at);
}

PackedWriter::PackedWriter(const std::filesystem::path& path)
    : path_(path),
      partial_(path.string() + ".partial"),
      file_(hdf5::File::create(partial_)),
      bytes_(file_.create_appendable("bytes", hdf5::Type::uint8, chunk)) {}

PackedWriter::~PackedWriter() {
  std::error_code ignored;
  if (!finished_) std::filesystem::remove(partial_, ignored);
}

void PackedWriter::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  bytes_.append<std::uint8_t>(unsigned_bytes(bytes));
  checksum_.add(bytes);
  size_ += bytes.size();
}

void PackedWriter::append(const PackedTensor& tensor) {
  check(tensor.values.size() == tensor.value_bytes(), tensor.name, ": ", tensor.values.size(), " bytes of values, ",
        tensor.value_bytes(), " expected");
  check(tensor.scales.size() * sizeof(float) == scale_bytes(tensor), tensor.name, ": ", tensor.scales.size(),
        " scales");
  Json entry{{"name", tensor.name}, {"form", name_of(tensor.form)}, {"offset", size_}};
  for (const std::size_t size : tensor.shape.sizes()) entry["shape"].push_back(size);
  if (is_integer(tensor.form)) entry["group"] = tensor.group;
  if (is_sparse(tensor.form)) entry["stored"] = tensor.stored;
  if (tensor.input) entry["input"] = {{"scale", double{tensor.input->scale}}, {"zero", tensor.input->zero}};
  tensors_.push_back(std::move(entry));
  append(std::as_bytes(std::span{tensor.scales}));
  append(tensor.values);
}

void PackedWriter::finish(const PackedDescription& description) {
  const std::string contents =
      Json{{"scheme", name_of(description.scheme)}, {"job", description.job}, {"tensors", tensors_}}.dump();
  store(file_, "contents", contents);
  store(file_, "tokenizer", description.tokenizer_bytes);
  checksum_.add(contents);
  checksum_.add(description.tokenizer_bytes);
  file_.set_attribute("tokenizer", description.tokenizer_kind);
  file_.set_attribute("checksum", checksum_.hex());
  hdf5::finish_file(file_, packed_kind, partial_, path_);
  finished_ = true;
}

PackedFile::PackedFile(const std::filesystem::path& path)
    : path_(path), file_(hdf5::open_file(path, packed_kind)), bytes_(file_.dataset("bytes")) {
  const Doing frame{[&] { return str("reading the packed model ", path_.string()); }};
  const std::string contents = text_of(file_, "contents");
  description_.tokenizer_kind = file_.text_attribute("tokenizer");
  description_.tokenizer_bytes = text_of(file_, "tokenizer");
  verify(contents);
  read_contents(contents);
}

// Before anything is believed.
void PackedFile::verify(const std::string& contents) {
  Checksum checksum;
  std::vector<std::byte> some;
  for (std::uint64_t first = 0; first < bytes_.size(); first += some.size()) {
    some.resize(std::min<std::uint64_t>(piece, bytes_.size() - first));
    bytes_.read<std::uint8_t>(first, {reinterpret_cast<std::uint8_t*>(some.data()), some.size()});
    checksum.add(some);
  }
  checksum.add(contents);
  checksum.add(description_.tokenizer_bytes);
  ensure(Exit::checkpoint, checksum.hex() == file_.text_attribute("checksum"), path_.string(),
         ": its checksum differs: the file is damaged; quantize the checkpoint again");
}

void PackedFile::read_contents(const std::string& contents) {
  const std::string where = path_.string() + ": /contents";
  const Json json = parse_json(contents, where, Exit::checkpoint);
  const auto scheme = member<std::string>(json, "scheme", where, Exit::checkpoint);
  try {
    description_.scheme = scheme_named(scheme);
  } catch (const Error&) {
    fail(Exit::checkpoint, str(where, ": the scheme '", scheme, "', which this version does not know"));
  }
  description_.job = member<Json>(json, "job", where, Exit::checkpoint);
  std::set<std::string> names;
  for (const Json& each : member<Json>(json, "tensors", where, Exit::checkpoint)) {
    Entry entry;
    PackedTensor& tensor = entry.tensor;
    tensor.name = member<std::string>(each, "name", where, Exit::checkpoint);
    const std::string its = str(path_.string(), ": ", tensor.name);
    ensure(Exit::checkpoint, names.insert(tensor.name).second, its, ": there twice");
    tensor.shape = shape_of(member<Json>(each, "shape", its, Exit::checkpoint), its);
    tensor.form = form_named(member<std::string>(each, "form", its, Exit::checkpoint), its);
    if (is_integer(tensor.form)) {
      tensor.group = member<std::size_t>(each, "group", its, Exit::checkpoint);
      ensure(Exit::checkpoint, tensor.shape.dimensions() == 2 && tensor.group > 0, its, ": groups of ", tensor.group,
             " columns of a tensor of shape ", tensor.shape);
    }
    if (is_sparse(tensor.form)) {
      tensor.stored = member<std::size_t>(each, "stored", its, Exit::checkpoint);
      check_stored(tensor, its);
    }
    if (const auto input = optional_member<Json>(each, "input", its, Exit::checkpoint)) {
      const auto scale = static_cast<float>(member<double>(*input, "scale", its, Exit::checkpoint));
      const auto zero = member<std::int64_t>(*input, "zero", its, Exit::checkpoint);
      ensure(Exit::checkpoint, scale >= least_scale && scale <= most_scale && zero >= 0 && zero <= 255, its,
             ": the input's scale is ", scale, " and its zero ", zero,
             ", expected a scale from 2^-100 to 2^100 and a zero from 0 to 255");
      tensor.input = ScaleAndZero{scale, static_cast<std::int32_t>(zero)};
    }
    entry.offset = member<std::size_t>(each, "offset", its, Exit::checkpoint);
    const std::uint64_t size = scale_bytes(tensor) + tensor.value_bytes();
    ensure(Exit::checkpoint, size <= bytes_.size() && entry.offset <= bytes_.size() - size, its, ": ", size,
           " bytes at ", entry.offset, " of ", bytes_.size());
    entries_.push_back(std::move(entry));
  }
}

PackedTensor PackedFile::read(std::size_t i) const {
  const Entry& entry = entries_.at(i);
  PackedTensor tensor = entry.tensor;
  std::vector<std::byte> scales(scale_bytes(tensor));
  tensor.scales.resize(scales.size() / sizeof(float));
  tensor.values.resize(tensor.value_bytes());
  const auto read_into = [&](std::uint64_t offset, std::span<std::byte> into) {
    if (!into.empty()) bytes_.read<std::uint8_t>(offset, {reinterpret_cast<std::uint8_t*>(into.data()), into.size()});
  };
  read_into(entry.offset, scales);
  if (!scales.empty()) std::memcpy(tensor.scales.data(), scales.data(), scales.size());
  read_into(entry.offset + scales.size(), tensor.values);
  for (std::size_t s = 0; s < tensor.scales.size(); ++s)
    ensure(Exit::checkpoint, tensor.scales[s] >= least_scale && tensor.scales[s] <= most_scale, path_.string(), ": ",
           tensor.name, ": scale ", s, " is ", tensor.scales[s], ", expected one from 2^-100 to 2^100");
  return tensor;
}

std::uint64_t PackedFile::bytes() const { return std::filesystem::file_size(path_); }

}  // namespace tranche::compress
