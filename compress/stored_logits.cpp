#include "compress/stored_logits.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include "runtime/base/error.h"
#include "runtime/hdf5/kind.h"
#include "runtime/ops/elementwise.h"

namespace tranche::compress {
namespace {

constexpr hdf5::FileKind logits_kind{.format = "tranche logits",
                                     .version = 1,
                                     .name = "file of logits",
                                     .maker = "tranche store-logits",
                                     .exit = Exit::data};

hdf5::Type type_of(DType dtype) {
  if (dtype == DType::bfloat16) return hdf5::Type::bfloat16;
  return dtype == DType::float16 ? hdf5::Type::float16 : hdf5::Type::float32;
}
hdf5::Type class_type(std::size_t classes) { return classes <= 65536 ? hdf5::Type::uint16 : hdf5::Type::uint32; }

// What is stored of a float, and of a class.
template <class To> To stored(float value) { return from_float<To>(value); }
template <class To> To stored(std::uint32_t value) { return static_cast<To>(value); }
template <class To, class From> To loaded_as(From value) {
  if constexpr (std::is_same_v<To, float>)
    return to_float(value);
  else
    return To{value};
}

template <class To, class From>
void write_as(hdf5::Dataset& dataset, const hdf5::Box& box, const std::vector<From>& values) {
  std::vector<To> converted(values.size());
  std::ranges::transform(values, converted.begin(), [](From value) { return stored<To>(value); });
  dataset.write<To>(box, std::span<const To>{converted});
}
template <class From, class To>
void read_as(const hdf5::Dataset& dataset, const hdf5::Box& box, std::vector<To>& values) {
  std::vector<From> read(box.size());
  dataset.read<From>(box, std::span<From>{read});
  values.resize(read.size());
  std::ranges::transform(read, values.begin(), [](From value) { return loaded_as<To>(value); });
}

void write(hdf5::Dataset& dataset, const hdf5::Box& box, const std::vector<float>& values) {
  if (dataset.type() == hdf5::Type::bfloat16) return write_as<bfloat16>(dataset, box, values);
  if (dataset.type() == hdf5::Type::float16) return write_as<float16>(dataset, box, values);
  write_as<float>(dataset, box, values);
}
void write(hdf5::Dataset& dataset, const hdf5::Box& box, const std::vector<std::uint32_t>& classes) {
  if (dataset.type() == hdf5::Type::uint16) return write_as<std::uint16_t>(dataset, box, classes);
  write_as<std::uint32_t>(dataset, box, classes);
}
void read(const hdf5::Dataset& dataset, const hdf5::Box& box, std::vector<float>& values) {
  if (dataset.type() == hdf5::Type::bfloat16) return read_as<bfloat16>(dataset, box, values);
  if (dataset.type() == hdf5::Type::float16) return read_as<float16>(dataset, box, values);
  read_as<float>(dataset, box, values);
}
void read(const hdf5::Dataset& dataset, const hdf5::Box& box, std::vector<std::uint32_t>& classes) {
  if (dataset.type() == hdf5::Type::uint16) return read_as<std::uint16_t>(dataset, box, classes);
  read_as<std::uint32_t>(dataset, box, classes);
}

std::size_t size_attribute(const hdf5::File& file, const std::string& name) {
  const std::int64_t value = file.integer_attribute(name);
  ensure(Exit::data, value > 0 && value < (std::int64_t{1} << 40), file.path().string(), ": ", name, " is ", value);
  return static_cast<std::size_t>(value);
}

}  // namespace

GreatestLogits greatest_logits(const Tensor& logits, std::size_t kept) {
  const std::size_t classes = logits.cols();
  tranche::check(kept >= 1 && kept <= classes, "greatest logits: ", kept, " of ", classes);
  const Tensor wide = logits.sibling("logits of one token", {1, classes}, DType::float32);
  std::vector<float> row(classes);
  std::vector<std::uint32_t> order(classes);
  GreatestLogits greatest;
  for (std::size_t token = 0; token < logits.rows(); ++token) {
    ops::store(logits.view(token * classes, {1, classes}), {wide, false});
    wide.device().read(wide.data(), std::as_writable_bytes(std::span{row}));
    const auto bad = std::ranges::find_if_not(row, [](float x) { return std::isfinite(x); });
    ensure(Exit::numerics, bad == row.end(), "the teacher's logit of token ", token, ", class ", bad - row.begin(),
           ", is ", bad == row.end() ? 0 : *bad, ": set distillation.precision to bfloat16 or float32");
    if (kept == classes) {
      greatest.values.insert(greatest.values.end(), row.begin(), row.end());
      continue;
    }
    std::iota(order.begin(), order.end(), 0u);
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(kept);
    std::ranges::nth_element(
        order, end, [&](std::uint32_t a, std::uint32_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
    std::sort(order.begin(), end);
    for (auto each = order.begin(); each != end; ++each) {
      greatest.classes.push_back(*each);
      greatest.values.push_back(row[*each]);
    }
    std::sort(end, order.end());
    float most = row[*end];
    for (auto each = end; each != order.end(); ++each) most = std::max(most, row[*each]);
    double sum = 0;
    for (auto each = end; each != order.end(); ++each) sum += std::exp(double{row[*each]} - most);
    greatest.rest.push_back(static_cast<float>(most + std::log(sum / static_cast<double>(classes - kept))));
  }
  return greatest;
}

LogitsWriter::LogitsWriter(const std::filesystem::path& path, const LogitsOrigin& origin, DType dtype, std::size_t kept)
    : path_(path),
      partial_(path.string() + ".partial"),
      origin_(origin),
      kept_(kept),
      file_(hdf5::File::create(partial_)),
      values_(file_.create_dataset("values", type_of(dtype), {origin.samples * origin.sequence_length, kept},
                                   {origin.sequence_length, kept})) {
  if (kept == origin.classes) return;
  classes_ = file_.create_dataset("classes", class_type(origin.classes),
                                  {origin.samples * origin.sequence_length, kept}, {origin.sequence_length, kept});
  rest_ = file_.create_dataset("rest", hdf5::Type::float32, {origin.samples * origin.sequence_length},
                               {origin.sequence_length});
}

LogitsWriter::~LogitsWriter() {
  std::error_code ignored;
  if (!finished_) std::filesystem::remove(partial_, ignored);
}

void LogitsWriter::append(const GreatestLogits& logits) {
  const std::uint64_t rows = logits.values.size() / kept_;
  const hdf5::Box box{{rows_, 0}, {rows, kept_}};
  write(values_, box, logits.values);
  if (classes_) write(*classes_, box, logits.classes);
  if (rest_) write(*rest_, {{rows_}, {rows}}, logits.rest);
  rows_ += rows;
}

void LogitsWriter::finish() {
  tranche::check(rows_ == origin_.samples * origin_.sequence_length, path_.string(), ": logits of ", rows_,
                 " tokens, expected ", origin_.samples, " samples of ", origin_.sequence_length);
  file_.set_attribute("teacher", origin_.teacher);
  file_.set_attribute("data", origin_.data);
  file_.set_attribute("tokenizer", origin_.tokenizer.kind);
  file_.set_attribute("tokenizer_sha256", origin_.tokenizer.sha256);
  file_.set_attribute("vocabulary_size", static_cast<std::int64_t>(origin_.classes));
  file_.set_attribute("samples", static_cast<std::int64_t>(origin_.samples));
  file_.set_attribute("sequence_length", static_cast<std::int64_t>(origin_.sequence_length));
  file_.set_attribute("kept", static_cast<std::int64_t>(kept_));
  hdf5::finish_file(file_, logits_kind, partial_, path_);
  finished_ = true;
}

StoredLogits::StoredLogits(const std::filesystem::path& path)
    : path_(path), file_(hdf5::open_file(path, logits_kind)), values_(file_.dataset("values")) {
  const Doing frame{[&] { return str("reading the logits in ", path_.string()); }};
  origin_ = {.teacher = file_.text_attribute("teacher"),
             .data = file_.text_attribute("data"),
             .tokenizer = {.kind = file_.text_attribute("tokenizer"),
                           .sha256 = file_.text_attribute("tokenizer_sha256"),
                           .vocabulary_size = size_attribute(file_, "vocabulary_size")},
             .samples = size_attribute(file_, "samples"),
             .sequence_length = size_attribute(file_, "sequence_length"),
             .classes = size_attribute(file_, "vocabulary_size")};
  kept_ = size_attribute(file_, "kept");
  const std::uint64_t rows = origin_.samples * origin_.sequence_length;
  const auto check_dataset = [&](const hdf5::Dataset& dataset, const hdf5::Extent& extent, bool of_type) {
    ensure(Exit::data, dataset.extent() == extent && of_type, path_.string(), ": /", dataset.name(), " has not the ",
           "values that its attributes promise: the file is damaged; store the logits again");
  };
  const hdf5::Type type = values_.type();
  check_dataset(values_, {rows, kept_},
                kept_ <= origin_.classes &&
                    (type == hdf5::Type::float32 || type == hdf5::Type::bfloat16 || type == hdf5::Type::float16));
  if (kept_ == origin_.classes) return;
  classes_ = file_.dataset("classes");
  check_dataset(*classes_, {rows, kept_}, classes_->type() == class_type(origin_.classes));
  rest_ = file_.dataset("rest");
  check_dataset(*rest_, {rows}, rest_->type() == hdf5::Type::float32);
}

std::string StoredLogits::identity() const {
  return kept_ == origin_.classes ? origin_.teacher : str(origin_.teacher, ", its ", kept_, " greatest logits");
}

void StoredLogits::check(std::size_t classes, std::size_t sequence_length, const std::string& data) const {
  ensure(Exit::data, origin_.classes == classes, path_.string(), " holds logits of a vocabulary of ", origin_.classes,
         " tokens, the student's is of ", classes, ": a teacher of the same tokens is needed");
  ensure(Exit::data, origin_.sequence_length == sequence_length, path_.string(), " holds logits of samples of ",
         origin_.sequence_length, " tokens, \"data.sequence_length\" is ", sequence_length,
         ": store them with that length");
  ensure(Exit::data, data.empty() || origin_.data == data, path_.string(),
         " holds logits of other tokens than those of \"data.train\": store them of that file");
}

StoredLogits::Sample StoredLogits::read(std::uint64_t sample) const {
  tranche::check(sample < origin_.samples, path_.string(), ": sample ", sample, " of ", origin_.samples);
  const std::uint64_t first = sample * origin_.sequence_length;
  const hdf5::Box box{{first, 0}, {origin_.sequence_length, kept_}};
  Sample read_sample;
  read_sample.kept_ = kept_;
  GreatestLogits& logits = read_sample.logits_;
  compress::read(values_, box, logits.values);
  if (!classes_) return read_sample;
  compress::read(*classes_, box, logits.classes);
  compress::read(*rest_, {{first}, {origin_.sequence_length}}, logits.rest);
  for (const std::uint32_t each : logits.classes)
    ensure(Exit::data, each < origin_.classes, path_.string(), ": class ", each, " in a vocabulary of ",
           origin_.classes);
  return read_sample;
}

void StoredLogits::Sample::row(std::size_t token, std::span<float> into) const {
  const auto values = std::span{logits_.values}.subspan(token * kept_, kept_);
  if (logits_.classes.empty()) {
    std::ranges::copy(values, into.begin());
    return;
  }
  std::ranges::fill(into, logits_.rest[token]);
  for (std::size_t i = 0; i < kept_; ++i) into[logits_.classes[token * kept_ + i]] = values[i];
}

}  // namespace tranche::compress
