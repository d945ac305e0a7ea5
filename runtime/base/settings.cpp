// Declaring and reading. Telling is in settings_text.cpp.
#include "runtime/base/settings.h"

#include <algorithm>
#include <cctype>
#include <cmath>

namespace tranche {
namespace {

using detail::Setting;
using detail::SettingKind;

bool is_absent(const Json& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>() == "auto");
}

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// A choice may have the word for itself.
bool is_absent(const Setting& setting, const Json& value) {
  return is_absent(value) && (value.is_null() || setting.type.find("\"auto\"") == std::string::npos);
}

std::string_view last_part(std::string_view path) { return path.substr(path.rfind('.') + 1); }

// How many letters must be put in, left out, replaced or swapped with their neighbour to get from one to the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> distance(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i)
    for (std::size_t j = 0; j <= b.size(); ++j) {
      std::size_t& here = distance[i][j];
      if (i == 0 || j == 0) {
        here = i + j;
        continue;
      }
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      here = std::min({distance[i - 1][j] + 1, distance[i][j - 1] + 1, distance[i - 1][j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
        here = std::min(here, distance[i - 2][j - 2] + 1);
    }
  return distance[a.size()][b.size()];
}

// The declared path that was probably meant; empty if none is near. A key of the same section wins over one elsewhere.
std::string nearest(const std::string& wrong, const std::string& section, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_score = 2 * std::max<std::size_t>(1, wrong.size() / 3) + 2;
  for (const std::string& path : known) {
    const std::string_view name = last_part(path);
    const bool here =
        path.size() == name.size() ? section.empty() : path.substr(0, path.size() - name.size() - 1) == section;
    std::size_t letters = edit_distance(wrong, name);
    const bool part = wrong.size() > 3 && (name.find(wrong) != name.npos || wrong.find(name) != wrong.npos);
    if (part) letters = std::min<std::size_t>(letters, 2);
    const std::size_t score = 2 * letters + (here ? 0 : 1);
    if (score < best_score) {
      best_score = score;
      best = path;
    }
  }
  return best;
}

std::optional<std::size_t> bytes_from(const Json& json) {
  if (!json.is_string()) return json_as<std::size_t>(json);
  const std::string& text = json.get_ref<const std::string&>();
  std::size_t digits = 0;
  while (digits < text.size() && (std::isdigit(static_cast<unsigned char>(text[digits])) || text[digits] == '.'))
    ++digits;
  if (digits == 0 || std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(digits), '.') > 1) return {};
  const std::string unit =
      text.substr(text.find_first_not_of(' ', digits) == text.npos ? text.size() : text.find_first_not_of(' ', digits));
  static const std::map<std::string, double> units{{"", 1},         {"B", 1},       {"KB", 1e3},     {"MB", 1e6},
                                                   {"GB", 1e9},     {"TB", 1e12},   {"KiB", 0x1p10}, {"MiB", 0x1p20},
                                                   {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  const auto factor = units.find(unit);
  if (factor == units.end()) return {};
  const double value = std::floor(std::stod(text.substr(0, digits)) * factor->second);
  return value < 0x1p53 ? std::optional{static_cast<std::size_t>(value)} : std::nullopt;
}

}  // namespace

bool Section::equal_words(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

// ---- Declaring
// ---------------------------------------------------------------------------------------------------------

Setting& Section::add(const std::string& name, SettingKind kind) {
  for (const auto& other : settings_)
    check(other->name != name || (kind == SettingKind::section && other->kind == kind && other->condition),
          "settings: \"", path_to(name), "\" is declared twice");
  settings_.push_back(std::make_unique<Setting>());
  settings_.back()->kind = kind;
  settings_.back()->name = name;
  return *settings_.back();
}

Key<std::size_t> Section::bytes(const std::string& name, std::size_t& target) {
  return declare<std::size_t>(name, target, "a number of bytes, or a string like \"512MiB\" or \"1.5GB\"", "",
                              bytes_from, [](std::size_t value) { return Json(value); });
}

Section& Section::section(const std::string& name, std::string about) {
  Setting& setting = add(name, SettingKind::section);
  setting.about = about;
  setting.section = std::make_unique<Section>(path_to(name), std::move(about));
  return *setting.section;
}

Section& Section::section(const std::string& name, std::string about, std::function<bool()> condition,
                          std::string text) {
  Section& made = section(name, std::move(about));
  settings_.back()->condition = std::move(condition);
  settings_.back()->condition_text = std::move(text);
  return made;
}

void Section::no_effect(const std::string& name, Json usual, std::string reason) {
  Setting& setting = add(name, SettingKind::no_effect);
  setting.usual = std::move(usual);
  setting.about = std::move(reason);
}

void Section::not_yet(const std::string& name, Json off, std::string what) {
  Setting& setting = add(name, SettingKind::not_yet);
  setting.usual = std::move(off);
  setting.about = std::move(what);
}

// ---- Reading
// -----------------------------------------------------------------------------------------------------------

void Section::load(const Json& object, const Source& source) {
  source_ = source;
  load_within(object, *this);
  check_conditions();
}

void Section::load_within(const Json& object, const Section& root) {
  ensure(Exit::job_file, object.is_object(), root.place_of(path_), path_.empty() ? "the job" : "\"" + path_ + "\"",
         " must be an object, { ... }, found ", json_excerpt(object));
  for (const auto& [name, value] : object.items())
    if (std::none_of(settings_.begin(), settings_.end(), [&, &key = name](const auto& s) { return s->name == key; }))
      refuse_unknown(name, root);

  for (const auto& setting : settings_) {
    const std::string path = path_to(setting->name);
    const auto found = object.find(setting->name);
    const Json* value = found == object.end() || is_absent(*setting, *found) ? nullptr : &*found;
    if (setting->kind == SettingKind::section) {
      if (setting->applies()) setting->section->load_within(value != nullptr ? *value : Json::object(), root);
      continue;
    }
    ensure(Exit::job_file, value != nullptr || !setting->required, root.source_.file, ": \"", path,
           "\" is missing: ", setting->about);
    if (value != nullptr) load_value(*setting, *value, root);
  }

  for (const auto& [name, value] : object.items()) {  // a section given although none of its forms applies
    std::string conditions;
    bool applies = false;
    for (const auto& setting : settings_)
      if (setting->name == name && setting->kind == SettingKind::section) {
        applies = applies || setting->applies();
        conditions += (conditions.empty() ? "" : " or ") + setting->condition_text;
      }
    ensure(Exit::job_file, conditions.empty() || applies || is_absent(value) || value.empty(),
           root.place_of(path_to(name)), "\"", path_to(name), "\" has no effect unless ", conditions);
  }
}

void Section::load_value(Setting& setting, const Json& json, const Section& root) {
  const std::string path = path_to(setting.name);
  const auto overridden = root.source_.overridden.find(path);
  setting.origin = Origin::file;
  for (const auto& [other, text] : root.source_.overridden)
    if (other == path || other.starts_with(path + ".") || path.starts_with(other + "."))
      setting.origin = Origin::command_line;
  setting.given = json;

  if (setting.kind == SettingKind::not_yet)
    ensure(Exit::job_file, json == setting.usual || (json.is_object() && json.empty()), root.place_of(path), "\"", path,
           "\" is ", json_excerpt(json), ": not supported yet (", setting.about, "); leave the key out or write ",
           json_excerpt(setting.usual));
  if (setting.kind != SettingKind::value) return;

  bool stored = setting.store(json);
  if (!stored && overridden != root.source_.overridden.end())  // --set name=7, where a string is wanted
    stored = setting.store(Json(overridden->second));
  const bool accepted =
      stored && std::all_of(setting.checks.begin(), setting.checks.end(), [](const auto& holds) { return holds(); });
  ensure(Exit::job_file, accepted, root.place_of(path), "\"", path, "\" must be ", setting.expected(), ", found ",
         json_excerpt(json));
}

void Section::check_conditions() const {
  const std::function<void(const Section&)> check_in = [&](const Section& section) {
    for (const auto& setting : section.settings_) {
      const std::string path = section.path_to(setting->name);
      if (setting->kind == SettingKind::section) {
        if (setting->applies()) check_in(*setting->section);
      } else {
        ensure(Exit::job_file, setting->origin == Origin::by_default || setting->applies(), place_of(path), "\"", path,
               "\" has no effect unless ", setting->condition_text, "; leave it out");
      }
    }
  };
  check_in(*this);
}

void Section::refuse_unknown(const std::string& name, const Section& root) const {
  std::vector<std::string> known;
  root.collect_paths(known);
  const std::string suggestion = nearest(name, path_, known);
  std::string message = str(root.place_of(path_to(name)), "unknown key \"", path_to(name), "\"");
  if (!suggestion.empty()) {
    message += str("; did you mean \"", suggestion, "\"?");
  } else if (!path_.empty()) {
    message += str("; \"", path_, "\" has ");
    for (const auto& setting : settings_)
      message += (setting == settings_.front() ? "" : setting == settings_.back() ? " and " : ", ") + setting->name;
  } else {
    message += "; docs/job-file.md and `tranche config --reference` list every key";
  }
  fail(Exit::job_file, message);
}

void Section::collect_paths(std::vector<std::string>& paths) const {
  for (const auto& setting : settings_) {
    paths.push_back(path_to(setting->name));
    if (setting->section) setting->section->collect_paths(paths);
  }
}

const Setting* Section::find(const std::string& path) const {
  const std::size_t dot = path.find('.');
  const std::string name = path.substr(0, dot);
  for (const auto& setting : settings_) {
    if (setting->name != name) continue;
    if (dot == path.npos) return setting.get();
    if (setting->section && setting->applies()) return setting->section->find(path.substr(dot + 1));
  }
  return nullptr;
}

bool Section::given(const std::string& path) const {
  const Setting* setting = find(path);
  return setting != nullptr && (setting->origin == Origin::file || setting->origin == Origin::command_line);
}

void Section::derived(const std::string& path, std::string derivation) {
  auto* setting = const_cast<Setting*>(find(path));  // ours: this function is not const
  check(setting != nullptr, "settings: \"", path, "\" is not declared");
  setting->origin = Origin::derived;
  setting->derivation = std::move(derivation);
}

std::string Section::place_of(const std::string& path) const {
  for (const auto& [overridden, text] : source_.overridden)
    if (overridden == path || overridden.starts_with(path + ".") || path.starts_with(overridden + "."))
      return str("--set ", overridden, "=", text, ": ");
  const auto line = source_.lines.find(path);
  return line == source_.lines.end() ? source_.file + ": " : str(source_.file, ":", line->second, ": ");
}

void apply_override(const std::string& text, Json& object, Source& source) {
  const std::size_t equals = text.find('=');
  const std::string path = text.substr(0, equals), value = equals == text.npos ? "" : text.substr(equals + 1);
  ensure(
      Exit::usage,
      equals != text.npos && !path.empty() && path.front() != '.' && path.back() != '.' && path.find("..") == path.npos,
      "--set ", text, ": expected --set key=value, with a path such as zero_optimization.stage as the key");
  Json* here = &object;
  for (std::size_t start = 0; start != path.npos;) {
    const std::size_t dot = path.find('.', start);
    const std::string walked = path.substr(0, start == 0 ? 0 : start - 1);
    if (here->is_null()) *here = Json::object();
    ensure(Exit::job_file, here->is_object(), "--set ", text, ": \"", walked, "\" is ", json_excerpt(*here),
           ", which has no keys");
    here = &(*here)[path.substr(start, dot == path.npos ? path.npos : dot - start)];
    start = dot == path.npos ? path.npos : dot + 1;
  }
  const Json parsed = [&]() -> Json {
    try {
      return parse_json(value, "--set " + text, Exit::usage);
    } catch (const Error&) {
      return value;  // a bare word or path
    }
  }();
  *here = parsed;
  source.overridden[path] = value;
}

}  // namespace tranche
