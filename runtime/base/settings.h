// What a job file may say. Each key is declared once, beside the variable that holds it:
//
//   void ZeroConfig::declare(Section& s) {
//     s.key("stage", stage).between(0, 3).about("what is divided among the ranks: ...");
//     Section& spill = s.section("offload_optimizer", "where the optimizer's state lives");
//     spill.not_yet("device", "none", "optimizer state on the host or on disk");
//     s.no_effect("reduce_bucket_size", 5e8, "gradients are reduced unit by unit");
//   }
//
// and that one line gives the parser its type, range and default, the page docs/job-file.md its row, `tranche config`
// its comment, and a mistyped neighbour its suggestion. A variable's value at the time of declaration is the default.
//
// A section refers to variables by address: whatever declares itself must stay where it is while the section is used.
// Nothing here is synchronised.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/json.h"

namespace tranche {

// Where a value came from.
enum class Origin : std::uint8_t { by_default, file, command_line, derived };

// A file's text and what the command line changed in it, for messages that point to the culprit.
struct Source {
  std::string file;  // as named by the user
  KeyLines lines;
  std::map<std::string, std::string> overridden;  // path -> text, as given by --set
};

class Section;

namespace detail {

// How a variable of type T is read from and shown as JSON, and named in messages: "a number", with `bounds` behind it
// until the key declares its own.
template <class T> struct Codec {
  static std::optional<T> read(const Json& json) { return json_as<T>(json); }
  static Json show(const T& value) { return value; }
  static std::string type() { return std::string{json_type<T>}; }
  static constexpr std::string_view bounds = "";
};

template <> struct Codec<std::size_t> {
  static std::optional<std::size_t> read(const Json& json) { return json_as<std::size_t>(json); }
  static Json show(std::size_t value) { return value; }
  static std::string type() { return "a whole number"; }
  static constexpr std::string_view bounds = "of at least 0";
};

template <class T> struct Codec<std::optional<T>> {
  static std::optional<std::optional<T>> read(const Json& json) {
    std::optional<T> value = Codec<T>::read(json);
    if (!value) return std::nullopt;  // not: an optional of nothing
    return std::optional<std::optional<T>>{std::in_place, *std::move(value)};
  }
  static Json show(const std::optional<T>& value) { return value ? Codec<T>::show(*value) : Json{}; }
  static std::string type() { return Codec<T>::type(); }
  static constexpr std::string_view bounds = Codec<T>::bounds;
};

template <class T, std::size_t n> struct Codec<std::array<T, n>> {
  static std::optional<std::array<T, n>> read(const Json& json) {
    if (!json.is_array() || json.size() != n) return std::nullopt;
    std::array<T, n> values;
    for (std::size_t i = 0; i < n; ++i) {
      std::optional<T> value = Codec<T>::read(json[i]);
      if (!value) return std::nullopt;
      values[i] = *std::move(value);
    }
    return values;
  }
  static Json show(const std::array<T, n>& values) {
    Json list = Json::array();
    for (const T& value : values) list.push_back(Codec<T>::show(value));
    return list;
  }
  static std::string type() { return str("a list of ", n, " values, each ", Codec<T>::type()); }
  static constexpr std::string_view bounds = Codec<T>::bounds;
};

// Whether `accepts` holds for a value, for each of a list, for an optional's if it has one.
template <class T, class Accepts> bool holds_for(const T& value, const Accepts& accepts) { return accepts(value); }
template <class T, class Accepts> bool holds_for(const std::optional<T>& value, const Accepts& accepts) {
  return !value || holds_for(*value, accepts);
}
template <class T, std::size_t n, class Accepts>
bool holds_for(const std::array<T, n>& values, const Accepts& accepts) {
  for (const T& value : values)
    if (!holds_for(value, accepts)) return false;
  return true;
}

enum class SettingKind : std::uint8_t { value, section, no_effect, not_yet };

// One declared key.
struct Setting {
  SettingKind kind;
  std::string name, about;                    // no_effect: the reason; not_yet: what is missing
  std::string type, bounds;                   // "a whole number", "from 0 to 3"
  Json usual;                                 // the default
  std::function<bool(const Json&)> store;     // value: false when it is not of the type
  std::function<Json()> show;                 // value: as it is now
  std::vector<std::function<bool()>> checks;  // value: whether it lies within the bounds
  std::function<bool()> condition;            // value, section: only then may it be given
  std::string condition_text;
  std::unique_ptr<Section> section;
  bool required = false, may_change = false;
  Origin origin = Origin::by_default;
  std::string derivation;  // of a derived value: from what
  Json given;              // no_effect, not_yet: what the file says

  std::string expected() const { return bounds.empty() ? type : type + " " + bounds; }
  bool applies() const { return !condition || condition(); }
};

}  // namespace detail

// What a declaration says of its key. Each call returns the same key.
template <class T> class Key {
 public:
  Key(detail::Setting& setting, T& target) : setting_(setting), target_(target) {}

  Key& about(std::string text) { return setting_.about = std::move(text), *this; }
  Key& required() { return setting_.required = true, *this; }
  // A run may be resumed with another value: it changes no number, or only where the run goes from there.
  Key& may_change() { return setting_.may_change = true, *this; }
  // Giving the key is an error unless the condition holds once everything is read; `text` completes "has no effect
  // unless".
  Key& when(std::function<bool()> condition, std::string text) {
    setting_.condition = std::move(condition);
    setting_.condition_text = std::move(text);
    return *this;
  }

  template <class Bound> Key& between(Bound low, Bound high) {
    return accept([=](const auto& v) { return within(v, low) && !beyond(v, high); }, str("from ", low, " to ", high));
  }
  template <class Bound> Key& at_least(Bound low) {
    return accept([=](const auto& v) { return within(v, low); }, str("of at least ", low));
  }
  template <class Bound> Key& above(Bound low) {
    return accept([=](const auto& v) { return beyond(v, low); }, str("above ", low));
  }
  // At least `low`, and less than `high`.
  template <class Bound> Key& from_to_below(Bound low, Bound high) {
    return accept([=](const auto& v) { return within(v, low) && !within(v, high); },
                  str("of at least ", low, " and below ", high));
  }
  // `accepts` is asked for a value, or for each of a list; `text` stands behind the type in messages.
  template <class Accepts> Key& accept(Accepts accepts, std::string text) {
    setting_.bounds = std::move(text);
    setting_.checks.push_back([&target = target_, accepts] { return detail::holds_for(target, accepts); });
    return *this;
  }

 private:
  template <class V, class Bound> static bool within(V v, Bound low) { return !(v < static_cast<V>(low)); }
  template <class V, class Bound> static bool beyond(V v, Bound low) { return v > static_cast<V>(low); }

  detail::Setting& setting_;
  T& target_;
};

class Section {
 public:
  explicit Section(std::string path = "", std::string about = "") : path_(std::move(path)), about_(std::move(about)) {}
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

  // ---- Declaring -------------------------------------------------------------------------------------------------

  // T: bool, std::int64_t, std::size_t, double, std::string, Json (any value), or a std::optional or std::array of
  // them.
  template <class T> Key<T> key(const std::string& name, T& target) {
    return declare<T>(name, target, detail::Codec<T>::type(), std::string{detail::Codec<T>::bounds},
                      detail::Codec<T>::read, detail::Codec<T>::show);
  }

  // One of a few words, upper or lower case.
  template <class T>
  Key<T> choice(const std::string& name, T& target,
                std::vector<std::pair<std::string, std::type_identity_t<T>>> words) {
    std::string type;
    for (const auto& [word, value] : words) type += str(type.empty() ? "" : " or ", '"', word, '"');
    return declare<T>(
        name, target, type, "",
        [words](const Json& json) -> std::optional<T> {
          for (const auto& [word, value] : words)
            if (json.is_string() && equal_words(json.get_ref<const std::string&>(), word)) return value;
          return std::nullopt;
        },
        [words](const T& target_value) -> Json {
          for (const auto& [word, value] : words)
            if (value == target_value) return word;
          return nullptr;
        });
  }

  // A number of bytes, or a string such as "512MiB" or "1.5GB".
  Key<std::size_t> bytes(const std::string& name, std::size_t& target);

  // An object of its own keys. The reference stays valid. Several sections may share a name if their conditions exclude
  // one another; conditions look at keys declared before.
  Section& section(const std::string& name, std::string about);
  Section& section(const std::string& name, std::string about, std::function<bool()> condition, std::string text);

  // Accepted with any value and listed once in the log, with the reason.
  void no_effect(const std::string& name, Json usual, std::string reason);

  // Accepted only with the value that switches it off; `what` is the feature that is missing here.
  void not_yet(const std::string& name, Json off, std::string what);

  // Nothing declared in this section changes the numbers: all of it may change when a run is resumed.
  void all_may_change() { all_may_change_ = true; }

  // ---- Reading ---------------------------------------------------------------------------------------------------

  // Stores what the object says in the variables. null and "auto", unless a choice has that word, count as absent (as
  // Hugging Face writes it). Throws Exit::job_file, naming file and line or the --set, path and what was expected.
  void load(const Json& object, const Source& source);

  // Whether file or command line gave the value at this path ("optimizer.params.lr").
  bool given(const std::string& path) const;
  // The program set this variable, from what `derivation` says.
  void derived(const std::string& path, std::string derivation);
  // "job.json:12: " or "--set: ": where a message about the value at this path should begin.
  std::string place_of(const std::string& path) const;

  // ---- Telling ---------------------------------------------------------------------------------------------------

  // Every value that has an effect. Loading it again gives the same variables.
  Json values() const;
  // The same as a job file in which a comment behind each value says where it came from.
  std::string annotated() const;
  // One line for each reason: which of the given keys have no effect.
  std::vector<std::string> without_effect() const;
  // The declarations as Markdown: a heading and a table for each section.
  std::string reference() const;
  // What `values()` said then and says otherwise now, among the keys that may not change when a run is resumed: one
  // line each. A key that `then` lacks had its default.
  std::vector<std::string> differences(const Json& then) const;

 private:
  using Setting = detail::Setting;
  using SettingKind = detail::SettingKind;

  template <class T, class Read, class Show>
  Key<T> declare(const std::string& name, T& target, std::string type, std::string bounds, Read read, Show show) {
    Setting& setting = add(name, SettingKind::value);
    setting.type = std::move(type);
    setting.bounds = std::move(bounds);
    setting.usual = show(target);
    setting.show = [&target, show] { return show(target); };
    setting.store = [&target, read](const Json& json) {
      std::optional<T> value = read(json);
      if (!value) return false;
      target = *std::move(value);
      return true;
    };
    return Key<T>{setting, target};
  }

  static bool equal_words(std::string_view a, std::string_view b);  // upper and lower case apart
  Setting& add(const std::string& name, SettingKind kind);
  const Setting* find(const std::string& path) const;  // null: not declared
  std::string path_to(const std::string& name) const { return path_.empty() ? name : path_ + "." + name; }
  [[noreturn]] void refuse_unknown(const std::string& name, const Section& root) const;
  void load_within(const Json& object, const Section& root);
  void load_value(Setting& setting, const Json& json, const Section& root);
  void check_conditions() const;
  void collect_paths(std::vector<std::string>& paths) const;
  void collect_without_effect(std::vector<std::pair<std::string, std::vector<std::string>>>& by_reason) const;
  void write_annotated(std::string& text, std::size_t depth) const;
  void write_reference(std::string& text) const;
  void collect_differences(const Json& then, bool may_change, std::vector<std::string>& lines) const;

  std::string path_, about_;
  bool all_may_change_ = false;
  std::vector<std::unique_ptr<Setting>> settings_;
  Source source_;  // of the root
};

// "a.b=c" as given to --set: puts c, read as JSON or else taken as a string, at a.b of the object, and notes the path.
// Throws Exit::usage for a text of another form, and Exit::job_file when something on the path is no object.
void apply_override(const std::string& text, Json& object, Source& source);

}  // namespace tranche
