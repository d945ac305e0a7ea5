#include "runtime/checkpoint/digest.h"

#include <algorithm>
#include <cmath>
#include <iomanip>

#include "runtime/base/sha256.h"
#include "runtime/checkpoint/manifest.h"
#include "runtime/checkpoint/reader.h"

namespace tranche::checkpoint {
namespace {

namespace fs = std::filesystem;

// Exact, and distinct for values of different types.
std::string text_of(const Value& value) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return str("whole ", *number);
  if (const auto* text = std::get_if<std::string>(&value)) return str("text ", text->size(), " ", *text);
  const double real = std::get<double>(value);
  return std::isfinite(real) ? str("real ", std::hexfloat, real) : "real non-finite";
}

// As a person wants it.
std::string readable(const Value& value) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return str(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return str(std::setprecision(17), std::get<double>(value));
}

std::string size_text(double bytes) {
  constexpr const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  std::size_t u = 0;
  for (; bytes >= 1024 && u < 4; ++u) bytes /= 1024;
  return str(std::fixed, std::setprecision(u == 0 ? 0 : 1), bytes, " ", units[u]);
}

template <class Values> std::string table_of(const char* title, const Values& values) {
  std::string text = values.empty() ? "" : str(title, "\n");
  for (const auto& [name, value] : values)
    text += str("  ", std::left, std::setw(28), name, " ", readable(value), "\n");
  return text;
}

}  // namespace

std::string digest(const fs::path& folder) {
  const Doing frame{[&] { return str("taking the digest of ", folder.string()); }};
  const Manifest manifest = read_manifest(folder);
  std::vector<const StateTensor*> tensors;
  for (const UnitLayout& unit : manifest.units)
    for (const StateTensor& tensor : unit.tensors) tensors.push_back(&tensor);
  std::ranges::sort(tensors, {}, [](const StateTensor* tensor) { return tensor->name; });
  std::vector<std::string> kinds = manifest.kinds;
  std::ranges::sort(kinds);

  Sha256 sha;
  Reader reader{folder, manifest};
  std::vector<float> buffer(std::size_t{1} << 18);
  for (const std::string& kind : kinds)
    for (const StateTensor* tensor : tensors) {
      sha.add(str(dataset_name(kind, tensor->name), " float32 ", tensor->shape, "\n"));
      const std::size_t size = tensor->shape.size();
      for (std::size_t first = 0; first < size; first += buffer.size()) {
        const std::span piece = std::span{buffer}.first(std::min(buffer.size(), size - first));
        reader.read(std::vector<TensorPart>{{kind, tensor->name, first, piece}});
        sha.add(std::as_bytes(piece));
      }
    }
  for (const auto& [name, value] : manifest.state.logical) sha.add(str(name, " = ", text_of(value), "\n"));
  return sha.hex();
}

std::string inspect(const fs::path& folder) {
  const Manifest manifest = read_manifest(folder);
  std::ostringstream text;
  std::size_t elements = 0, width = 0;
  std::uint64_t bytes = 0;
  for (const UnitLayout& unit : manifest.units) {
    elements += unit.size();
    for (const StateTensor& tensor : unit.tensors) width = std::max(width, tensor.name.size());
  }
  for (const StoredFile& file : manifest.files) bytes += file.size;
  text << folder.string() << "\n  step " << manifest.step << ", written by " << manifest.ranks
       << (manifest.ranks == 1 ? " rank, " : " ranks, ") << elements << " parameters, "
       << size_text(static_cast<double>(bytes)) << "\n  kinds:";
  for (const std::string& kind : manifest.kinds) text << " " << kind;
  text << "\n" << table_of("state", manifest.state.logical) << table_of("circumstances", manifest.state.circumstances);
  text << "tensors\n";
  for (const UnitLayout& unit : manifest.units)
    for (const StateTensor& tensor : unit.tensors)
      text << "  " << std::left << std::setw(static_cast<int>(width)) << tensor.name << "  " << tensor.shape << "\n";
  text << "files\n";
  for (const StoredFile& file : manifest.files)
    text << "  " << std::left << std::setw(28) << file.name << " " << std::right << std::setw(12) << file.size << "  "
         << file.checksum << "\n";
  return std::move(text).str();
}

}  // namespace tranche::checkpoint
