// JSON, the one place that calls nlohmann's library. Objects keep the order of their keys.
//
//   const Json config = read_json("config.json", Exit::job_file);
//   const auto width = member<std::size_t>(config, "n_embd", "config.json", Exit::job_file);
//
//   config.json:12:9: not valid JSON: the key "n_head" appears a second time in its object
//
// All functions are pure apart from reading the named file, and may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "runtime/base/error.h"

namespace tranche {

// Looking a key up in an object compares with each key in turn: go through a large object (a vocabulary) once instead.
using Json = nlohmann::ordered_json;

// Where each key of a text stands: "optimizer.params.lr" -> line 14 (the first line is 1). Elements of arrays have no
// entry.
using KeyLines = std::map<std::string, std::size_t>;

inline constexpr std::size_t json_depth = 64;  // objects and arrays within one another; deeper text is refused

// `text` must be one JSON value (RFC 8259) in UTF-8; // and /* */ comments are skipped. `name` is the file in messages.
// Throws an Error with this exit code that begins with name:line:column, for text that is no JSON, a key that an object
// has twice, a number that a double does not hold, and text nested deeper than json_depth.
Json parse_json(std::string_view text, const std::string& name, Exit exit, KeyLines* lines = nullptr);

// The same for a whole file; one that cannot be read is an Error with the same exit code.
Json read_json(const std::filesystem::path& file, Exit exit, KeyLines* lines = nullptr);

// A value as T, when it is one: bool, std::int64_t, std::size_t, double, std::string or Json. 5e8 and 5.0 are integers.
// Nothing else is converted: "5" is not a number, and 1 is not true.
template <class T> std::optional<T> json_as(const Json& value);
template <> std::optional<bool> json_as<bool>(const Json& value);
template <> std::optional<std::int64_t> json_as<std::int64_t>(const Json& value);
template <> std::optional<std::size_t> json_as<std::size_t>(const Json& value);
template <> std::optional<double> json_as<double>(const Json& value);
template <> std::optional<std::string> json_as<std::string>(const Json& value);
template <> inline std::optional<Json> json_as<Json>(const Json& value) { return value; }

// How messages name a type: "a whole number of at least 0".
template <class T> inline constexpr std::string_view json_type = "a value";
template <> inline constexpr std::string_view json_type<bool> = "true or false";
template <> inline constexpr std::string_view json_type<std::int64_t> = "a whole number";
template <> inline constexpr std::string_view json_type<std::size_t> = "a whole number of at least 0";
template <> inline constexpr std::string_view json_type<double> = "a number";
template <> inline constexpr std::string_view json_type<std::string> = "a string";

// The value in one line, cut to `most` characters: for messages.
std::string json_excerpt(const Json& value, std::size_t most = 60);

// What an object holds under a key; null counts as absent. `where` names the object in messages: "config.json".
// Throws an Error with this exit code when `object` is no object or the value is of another type.
template <class T>
std::optional<T> optional_member(const Json& object, const std::string& key, const std::string& where, Exit exit) {
  ensure(exit, object.is_object(), where, ": expected an object, found ", json_excerpt(object));
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  std::optional<T> value = json_as<T>(*found);
  ensure(exit, value.has_value(), where, ": \"", key, "\" must be ", json_type<T>, ", found ", json_excerpt(*found));
  return value;
}

template <class T>
T member_or(const Json& object, const std::string& key, T otherwise, const std::string& where, Exit exit) {
  std::optional<T> value = optional_member<T>(object, key, where, exit);
  return value ? *std::move(value) : std::move(otherwise);
}

template <class T> T member(const Json& object, const std::string& key, const std::string& where, Exit exit) {
  std::optional<T> value = optional_member<T>(object, key, where, exit);
  ensure(exit, value.has_value(), where, ": \"", key, "\" is missing");
  return *std::move(value);
}

}  // namespace tranche
