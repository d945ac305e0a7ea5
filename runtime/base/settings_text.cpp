// What settings say of themselves: the effective job, the reference page, what changed since a checkpoint.
#include <algorithm>

#include "runtime/base/settings.h"

namespace tranche {
namespace {

using detail::Setting;
using detail::SettingKind;

std::string code(const Json& value) { return value.is_null() ? "none" : str("`", value.dump(), "`"); }

std::string origin_text(const Setting& setting) {
  switch (setting.origin) {
    case Origin::by_default: return "default";
    case Origin::file: return "file";
    case Origin::command_line: return "--set";
    case Origin::derived: return "derived from " + setting.derivation;
  }
  return "";
}

using ByReason = std::vector<std::pair<std::string, std::vector<std::string>>>;  // in order of first appearance

void add_reason(ByReason& groups, const std::string& reason, const std::string& key) {
  for (auto& [known, keys] : groups)
    if (known == reason) return keys.push_back(key);
  groups.push_back({reason, {key}});
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

}  // namespace

Json Section::values() const {
  Json object = Json::object();
  for (const auto& setting : settings_) {
    if (!setting->applies()) continue;
    if (setting->kind == SettingKind::value) object[setting->name] = setting->show();
    if (setting->kind == SettingKind::section) {
      Json inner = setting->section->values();
      if (!inner.empty()) object[setting->name] = std::move(inner);
    }
  }
  return object;
}

std::string Section::annotated() const {
  std::string text;
  write_annotated(text, 1);
  return text + "}\n";
}

void Section::write_annotated(std::string& text, std::size_t depth) const {
  const std::string indent(2 * depth, ' ');
  std::vector<std::pair<std::string, std::string>> members;  // the text of each, and the comment behind it
  for (const auto& setting : settings_) {
    if (!setting->applies()) continue;
    const std::string name = indent + Json(setting->name).dump() + ": ";
    switch (setting->kind) {
      case SettingKind::value: members.push_back({name + setting->show().dump(), origin_text(*setting)}); break;
      case SettingKind::section: {
        std::string inner;
        setting->section->write_annotated(inner, depth + 1);
        if (inner != "{\n") members.push_back({name + inner + indent + "}", ""});
        break;
      }
      case SettingKind::no_effect:
        if (!setting->given.is_null())
          members.push_back({name + setting->given.dump(), "no effect: " + setting->about});
        break;
      case SettingKind::not_yet: break;
    }
  }
  text += "{\n";
  for (std::size_t i = 0; i < members.size(); ++i) {
    text += members[i].first + (i + 1 < members.size() ? "," : "");
    text += members[i].second.empty() ? "\n" : "   // " + members[i].second + "\n";
  }
}

std::vector<std::string> Section::without_effect() const {
  ByReason groups;
  collect_without_effect(groups);
  std::vector<std::string> lines;
  for (const auto& [reason, keys] : groups)
    lines.push_back(str(joined(keys), keys.size() == 1 ? " has" : " have", " no effect here: ", reason));
  return lines;
}

void Section::collect_without_effect(ByReason& by_reason) const {
  for (const auto& setting : settings_) {
    if (setting->kind == SettingKind::no_effect && !setting->given.is_null())
      add_reason(by_reason, setting->about, path_to(setting->name));
    if (setting->section) setting->section->collect_without_effect(by_reason);
  }
}

std::string Section::reference() const {
  std::string text;
  write_reference(text);
  return text;
}

void Section::write_reference(std::string& text) const {
  ByReason no_effect, not_yet;
  std::string rows;
  for (const auto& setting : settings_) switch (setting->kind) {
      case SettingKind::value: {
        std::string about = setting->about;
        if (setting->condition) about += " Only if " + setting->condition_text + ".";
        if (!setting->may_change && !all_may_change_) about += " †";
        rows += str("| `", setting->name, "` | ", setting->expected(), " | ",
                    setting->required ? "required" : code(setting->usual), " | ", about, " |\n");
        break;
      }
      case SettingKind::section: break;
      case SettingKind::no_effect: add_reason(no_effect, setting->about, str("`", setting->name, "`")); break;
      case SettingKind::not_yet:
        add_reason(not_yet, setting->about, str("`", setting->name, "` (off: ", code(setting->usual), ")"));
        break;
    }
  if (!about_.empty()) text += about_ + "\n\n";
  if (!rows.empty()) text += "| key | value | default | meaning |\n|---|---|---|---|\n" + rows + "\n";
  if (!not_yet.empty()) {
    text += "Not supported yet; an error unless off:\n\n";
    for (const auto& [what, keys] : not_yet) text += str("- ", joined(keys), ": ", what, ".\n");
    text += "\n";
  }
  if (!no_effect.empty()) {
    text += "Accepted without effect, and listed in the log:\n\n";
    for (const auto& [reason, keys] : no_effect) text += str("- ", joined(keys), ": ", reason, ".\n");
    text += "\n";
  }
  for (const auto& setting : settings_)
    if (setting->section) {
      text += str("## `", path_to(setting->name), "`");
      if (setting->condition) text += " if " + setting->condition_text;
      text += "\n\n";
      setting->section->write_reference(text);
    }
}

std::vector<std::string> Section::differences(const Json& then) const {
  std::vector<std::string> lines;
  collect_differences(then, false, lines);
  return lines;
}

void Section::collect_differences(const Json& then, bool may_change, std::vector<std::string>& lines) const {
  for (const auto& setting : settings_) {
    if (!setting->applies()) continue;
    const auto found = then.is_object() ? then.find(setting->name) : then.end();
    const bool had = then.is_object() && found != then.end();
    const bool may = may_change || all_may_change_ || setting->may_change;
    if (setting->kind == SettingKind::section) {
      setting->section->collect_differences(had ? *found : Json::object(), may, lines);
    } else if (setting->kind == SettingKind::value && !may) {
      const Json before = had ? *found : setting->usual, now = setting->show();
      if (before != now)
        lines.push_back(
            str("\"", path_to(setting->name), "\" was ", json_excerpt(before), " and is now ", json_excerpt(now)));
    }
  }
}

}  // namespace tranche
