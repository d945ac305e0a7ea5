#include "runtime/checkpoint/manifest.h"

#include <algorithm>
#include <cmath>
#include <iomanip>

#include "runtime/base/checksum.h"

namespace tranche::checkpoint {
namespace {

constexpr std::size_t digits = 32;
constexpr std::uint64_t version = 2;
const std::string before_checksum = "\"checksum_of_this_file\": \"";

// Doubles come back exactly: JSON's numbers are written as short as that allows. It has no infinities and no NaN.
Json json_of(const Value& value) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return *number;
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const double real = std::get<double>(value);
  if (std::isfinite(real)) return real;
  return {{"non-finite", std::isnan(real) ? "nan" : real > 0 ? "inf" : "-inf"}};
}

Value value_of(const Json& json, const std::string& where) {
  if (json.is_number_unsigned()) return json.get<std::uint64_t>();
  if (json.is_number_float()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  return std::stod(member<std::string>(json, "non-finite", where, Exit::checkpoint));
}

Json json_of(const std::map<std::string, Value>& values) {
  Json json = Json::object();
  for (const auto& [name, value] : values) json[name] = json_of(value);
  return json;
}

std::map<std::string, Value> values_of(const Json& json, const std::string& where) {
  std::map<std::string, Value> values;
  for (const auto& [name, value] : json.items()) values[name] = value_of(value, where);
  return values;
}

std::vector<std::size_t> numbers_of(const Json& json, const std::string& where) {
  ensure(Exit::checkpoint, json.is_array(), where, ": expected numbers, found ", json_excerpt(json));
  std::vector<std::size_t> numbers;
  for (const Json& each : json) {
    const auto number = json_as<std::size_t>(each);
    ensure(Exit::checkpoint, number.has_value(), where, ": expected a number, found ", json_excerpt(each));
    numbers.push_back(*number);
  }
  return numbers;
}

UnitLayout unit_of(const Json& json, const std::string& where) {
  UnitLayout unit{member<std::string>(json, "name", where, Exit::checkpoint), {}};
  for (const Json& tensor : member<Json>(json, "tensors", where, Exit::checkpoint))
    unit.tensors.push_back({member<std::string>(tensor, "name", where, Exit::checkpoint),
                            Shape{numbers_of(member<Json>(tensor, "shape", where, Exit::checkpoint), where)}});
  return unit;
}

std::string checksum_of_text(std::string text, std::size_t at) {
  text.replace(at, digits, digits, '0');
  Checksum checksum;
  checksum.add(text);
  return checksum.hex();
}

Manifest manifest_of(const Json& json, const std::string& where) {
  const auto part = [&](const char* key) { return member<Json>(json, key, where, Exit::checkpoint); };
  Manifest manifest;
  manifest.step = member<std::size_t>(json, "step", where, Exit::checkpoint);
  manifest.ranks = member<std::size_t>(json, "ranks", where, Exit::checkpoint);
  for (const Json& kind : part("kinds")) manifest.kinds.push_back(json_as<std::string>(kind).value_or(""));
  for (const Json& unit : part("units")) {
    manifest.units.push_back(unit_of(unit, where));
    manifest.boundaries.push_back(numbers_of(member<Json>(unit, "boundaries", where, Exit::checkpoint), where));
    const auto& cuts = manifest.boundaries.back();
    ensure(Exit::checkpoint,
           cuts.size() == manifest.ranks + 1 && cuts.front() == 0 && std::ranges::is_sorted(cuts) &&
               cuts.back() == manifest.units.back().size(),
           where, ": the boundaries of unit ", manifest.units.back().name, " do not cover it");
  }
  manifest.state.logical = values_of(part("state"), where);
  manifest.state.circumstances = values_of(part("circumstances"), where);
  if (const auto job = optional_member<Json>(json, "job", where, Exit::checkpoint)) manifest.state.job = *job;
  for (const Json& file : part("files"))
    manifest.files.push_back({member<std::string>(file, "name", where, Exit::checkpoint),
                              member<std::size_t>(file, "size", where, Exit::checkpoint),
                              member<std::string>(file, "checksum", where, Exit::checkpoint)});
  return manifest;
}

}  // namespace

std::string tranche_name(std::size_t rank, std::size_t ranks) {
  std::ostringstream name;
  name << "tranche-" << std::setfill('0') << std::setw(4) << rank << "-of-" << std::setw(4) << ranks << ".h5";
  return std::move(name).str();
}

std::string dataset_name(const std::string& kind, const std::string& tensor) { return kind + "/" + tensor; }

std::string text_of(const Manifest& manifest) {
  Json units = Json::array(), files = Json::array();
  for (std::size_t u = 0; u < manifest.units.size(); ++u) {
    Json tensors = Json::array();
    for (const StateTensor& tensor : manifest.units[u].tensors)
      tensors.push_back(
          {{"name", tensor.name},
           {"shape", std::vector<std::size_t>{tensor.shape.sizes().begin(), tensor.shape.sizes().end()}}});
    units.push_back({{"name", manifest.units[u].name}, {"boundaries", manifest.boundaries[u]}, {"tensors", tensors}});
  }
  for (const StoredFile& file : manifest.files)
    files.push_back({{"name", file.name}, {"size", file.size}, {"checksum", file.checksum}});
  const Json json = {{"format", "tranche checkpoint"},
                     {"version", version},
                     {"step", manifest.step},
                     {"ranks", manifest.ranks},
                     {"state", json_of(manifest.state.logical)},
                     {"circumstances", json_of(manifest.state.circumstances)},
                     {"job", manifest.state.job},
                     {"kinds", manifest.kinds},
                     {"units", units},
                     {"files", files},
                     {"checksum_of_this_file", std::string(digits, '0')}};
  std::string text = json.dump(1) + "\n";
  const std::size_t at = text.rfind(before_checksum) + before_checksum.size();
  return text.replace(at, digits, checksum_of_text(text, at));
}

Manifest read_manifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / manifest_name;
  std::error_code error;
  ensure(Exit::checkpoint, std::filesystem::exists(path, error), folder.string(), " has no ", manifest_name,
         ": it is not a complete checkpoint");
  const std::string text = read_small_file(path);
  const std::size_t key = text.rfind(before_checksum), at = key + before_checksum.size();
  ensure(
      Exit::checkpoint,
      key != std::string::npos && at + digits <= text.size() && checksum_of_text(text, at) == text.substr(at, digits),
      path.string(), " is damaged: its checksum does not fit its content");
  const Json json = parse_json(text, path.string(), Exit::checkpoint);
  const auto written = member<std::size_t>(json, "version", path.string(), Exit::checkpoint);
  ensure(Exit::checkpoint, written == version, path.string(), " has format version ", written,
         ", this program reads version ", version);
  return manifest_of(json, path.string());
}

StoredFile describe_file(const File& file, std::vector<ByteRange> left_out) {
  StoredFile stored{file.path().filename().string(), file.size(), {}};
  std::ranges::sort(left_out, {}, &ByteRange::first);
  left_out.push_back({stored.size, 0});
  Checksum checksum;
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  std::uint64_t at = 0;
  for (const ByteRange& range : left_out) {
    while (at < range.first) {
      const std::span piece{buffer.data(), std::min<std::uint64_t>(buffer.size(), range.first - at)};
      file.read(at, piece);
      checksum.add(piece);
      at += piece.size();
    }
    at = std::max(at, range.first + range.count);
  }
  stored.checksum = checksum.hex();
  return stored;
}

}  // namespace tranche::checkpoint
