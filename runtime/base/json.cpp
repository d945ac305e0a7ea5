#include "runtime/base/json.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <unordered_set>
#include <vector>

namespace tranche {
namespace {

// Where the parser has read to. The library copies its input iterator, so the place lives outside of it.
struct Place {
  std::string_view text;
  std::size_t next = 0;

  std::size_t line() const {
    const auto read = text.substr(0, next);
    return 1 + static_cast<std::size_t>(std::count(read.begin(), read.end(), '\n'));
  }
  std::size_t column() const {
    const std::size_t newline = text.substr(0, next).rfind('\n');
    return next - (newline == std::string_view::npos ? 0 : newline + 1);
  }
};

struct Reader {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Place* place = nullptr;  // null: the end
  const char& operator*() const { return place->text[place->next]; }
  Reader& operator++() {
    ++place->next;
    return *this;
  }
  bool at_end() const { return place == nullptr || place->next == place->text.size(); }
  bool operator==(const Reader& other) const { return at_end() == other.at_end(); }
  bool operator!=(const Reader& other) const { return !(*this == other); }
};

// Builds the value as the parser reports its parts. (The library's own builder looks every key up among those before
// it, which takes seconds for a vocabulary, and lets the last of two equal keys win.)
class Builder {
 public:
  Builder(const Place& place, const std::string& name, Exit exit, KeyLines* lines)
      : place_(place), name_(name), exit_(exit), lines_(lines) {}

  Json take() { return std::move(root_); }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }  // not in JSON text
  bool start_object(std::size_t) { return open(Json::object()); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& key) {
    Level& level = levels_.back();
    if (!level.keys.insert(key).second) refuse(str("the key \"", key, "\" appears a second time in its object"));
    level.key = key;
    if (lines_ != nullptr) lines_->emplace(path(), line_of_key());
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    std::string reason =
        error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax ..."
    if (const auto bracket = reason.find("] "); bracket != std::string::npos) reason.erase(0, bracket + 2);
    if (reason.starts_with("parse error at"))
      if (const auto colon = reason.find(": "); colon != std::string::npos) reason.erase(0, colon + 2);
    refuse(place_.text.find_first_not_of(" \t\r\n") == std::string_view::npos ? "there is nothing in it" : reason);
  }

 private:
  struct Level {
    Json* value;                           // stays where it is: its parent grows only after it is closed
    std::unordered_set<std::string> keys;  // of an object
    std::string key;                       // whose value comes next
  };

  [[noreturn]] void refuse(const std::string& reason) const {
    fail(exit_, str(name_, ":", place_.line(), ":", place_.column(), ": not valid JSON: ", reason));
  }

  // The parser may have read beyond the key.
  std::size_t line_of_key() const {
    const std::size_t quote = place_.text.substr(0, place_.next).rfind('"');
    return Place{place_.text, quote == std::string_view::npos ? place_.next : quote}.line();
  }

  std::string path() const {
    std::string path;
    for (const Level& level : levels_)
      if (level.value->is_object()) path += (path.empty() ? "" : ".") + level.key;
    return path;
  }

  Json* put(Json value) {
    if (levels_.empty()) return &(root_ = std::move(value));
    Json& parent = *levels_.back().value;
    if (parent.is_array()) return &parent.emplace_back(std::move(value));
    auto& members = static_cast<Json::object_t::Container&>(parent.get_ref<Json::object_t&>());
    return &members.emplace_back(levels_.back().key, std::move(value)).second;  // keys differ: `key` saw to it
  }
  bool add(Json value) {
    put(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (levels_.size() == json_depth) refuse(str("it is nested more than ", json_depth, " deep"));
    Json* placed = put(std::move(value));
    levels_.push_back({placed, {}, {}});
    return true;
  }
  bool close() {
    levels_.pop_back();
    return true;
  }

  const Place& place_;
  const std::string& name_;
  Exit exit_;
  KeyLines* lines_;
  Json root_;
  std::vector<Level> levels_;
};

std::string text_of(const std::filesystem::path& file, Exit exit) {
  std::error_code error;
  ensure(exit, !std::filesystem::is_directory(file, error), file.string(), ": this is a folder, not a file");
  std::ifstream stream{file, std::ios::binary};
  ensure(exit, stream.is_open(), file.string(), ": cannot be opened: ", std::strerror(errno));
  std::string text{std::istreambuf_iterator<char>{stream}, {}};
  ensure(exit, !stream.bad(), file.string(), ": cannot be read: ", std::strerror(errno));
  return text;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& name, Exit exit, KeyLines* lines) {
  Place place{text};
  Builder builder{place, name, exit, lines};
  Json::sax_parse(Reader{&place}, Reader{}, &builder, nlohmann::detail::input_format_t::json, /*strict=*/true,
                  /*ignore_comments=*/true);
  return builder.take();
}

Json read_json(const std::filesystem::path& file, Exit exit, KeyLines* lines) {
  return parse_json(text_of(file, exit), file.string(), exit, lines);
}

template <> std::optional<bool> json_as<bool>(const Json& value) {
  return value.is_boolean() ? std::optional{value.get<bool>()} : std::nullopt;
}

template <> std::optional<std::int64_t> json_as<std::int64_t>(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    return number <= INT64_MAX ? std::optional{static_cast<std::int64_t>(number)} : std::nullopt;
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  if (number != std::floor(number) || std::abs(number) >= 0x1p63) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

template <> std::optional<std::size_t> json_as<std::size_t>(const Json& value) {
  if (value.is_number_unsigned()) return value.get<std::size_t>();
  const std::optional<std::int64_t> number = json_as<std::int64_t>(value);
  return number && *number >= 0 ? std::optional{static_cast<std::size_t>(*number)} : std::nullopt;
}

template <> std::optional<double> json_as<double>(const Json& value) {
  return value.is_number() ? std::optional{value.get<double>()} : std::nullopt;
}

template <> std::optional<std::string> json_as<std::string>(const Json& value) {
  return value.is_string() ? std::optional{value.get<std::string>()} : std::nullopt;
}

std::string json_excerpt(const Json& value, std::size_t most) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > most) text = text.substr(0, most) + "...";
  return text;
}

}  // namespace tranche
