#include "runtime/data/bpe_definition.h"

#include <fstream>
#include <map>
#include <optional>

#include "runtime/base/error.h"
#include "runtime/base/json.h"
#include "runtime/data/pre_tokens.h"
#include "runtime/data/utf8.h"

namespace tranche {
namespace {

using Vocabulary = std::map<std::size_t, std::string>;  // by id

void add(Vocabulary& vocabulary, std::size_t id, const std::string& token, const std::string& where) {
  const auto [entry, added] = vocabulary.emplace(id, token);
  ensure(Exit::data, added || entry->second == token, where, ": the id ", id, " belongs to \"", entry->second,
         "\" and to \"", token, "\"");
}

Vocabulary vocabulary_of(const Json& object, const std::string& where) {
  ensure(Exit::data, object.is_object(), where, ": expected an object of tokens and ids, found ", json_excerpt(object));
  Vocabulary vocabulary;
  for (const auto& [token, value] : object.items()) {
    const std::optional<std::size_t> id = json_as<std::size_t>(value);
    ensure(Exit::data, id.has_value(), where, ": the id of \"", token,
           "\" must be a whole number of at least 0, found ", json_excerpt(value));
    add(vocabulary, *id, token, where);
  }
  return vocabulary;
}

std::vector<std::string> in_order(const Vocabulary& vocabulary, const std::string& where) {
  ensure(Exit::data, !vocabulary.empty(), where, ": the vocabulary is empty");
  std::vector<std::string> tokens;
  for (const auto& [id, token] : vocabulary) {
    ensure(Exit::data, id == tokens.size(), where, ": no token has the id ", tokens.size(), ", and one has ", id);
    tokens.push_back(token);
  }
  return tokens;
}

// "left right"
std::optional<std::pair<std::string, std::string>> merge_of(const std::string& line) {
  const std::size_t space = line.find(' ');
  if (space == std::string::npos || space == 0 || space + 1 == line.size()) return std::nullopt;
  if (line.find(' ', space + 1) != std::string::npos) return std::nullopt;
  return std::pair{line.substr(0, space), line.substr(space + 1)};
}

// "left right", or ["left", "right"] as later versions of tokenizers write it
std::vector<std::pair<std::string, std::string>> merges_of(const Json& list, const std::string& where) {
  ensure(Exit::data, list.is_array(), where, ": \"merges\" must be a list, found ", json_excerpt(list));
  std::vector<std::pair<std::string, std::string>> merges;
  for (const Json& item : list) {
    std::optional<std::pair<std::string, std::string>> merge;
    if (item.is_string()) merge = merge_of(item.get<std::string>());
    if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string())
      merge.emplace(item[0].get<std::string>(), item[1].get<std::string>());
    ensure(Exit::data, merge.has_value(), where, ": merge ", merges.size(), " must be two tokens, found ",
           json_excerpt(item));
    merges.push_back(*std::move(merge));
  }
  return merges;
}

// Keys of a tokenizer.json that must be absent, null, false, 0 or empty for us to compute the same ids.
void refuse_others(const Json& object, std::initializer_list<const char*> keys, const std::string& where) {
  for (const char* const key : keys) {
    const auto value = optional_member<Json>(object, key, where, Exit::data);
    const std::string found = value ? json_excerpt(*value) : "null";
    const bool nothing = found == "null" || found == "false" || found == "0" || found == "0.0" || found == R"("")";
    ensure(Exit::data, nothing, where, ": \"", key, "\": ", found, " is not supported");
  }
}

std::string type_of(const Json& object, const std::string& where) {
  return member_or<std::string>(object, "type", "no type", where, Exit::data);
}

// {"type": "ByteLevel"}, or a Split by a pattern that we know followed by a ByteLevel without a pattern of its own.
std::string rule_of(const Json& pre_tokenizer, const std::string& where) {
  const std::string type = type_of(pre_tokenizer, where);
  if (type == "ByteLevel") {
    refuse_others(pre_tokenizer, {"add_prefix_space"}, where);
    ensure(Exit::data, member_or<bool>(pre_tokenizer, "use_regex", true, where, Exit::data), where,
           ": a ByteLevel without its pattern is not supported on its own");
    return gpt2_rule().name;
  }
  ensure(Exit::data, type == "Sequence", where, ": a pre-tokenizer of type ", type,
         " is not supported; byte-level BPE has ByteLevel");
  const Json parts = member<Json>(pre_tokenizer, "pretokenizers", where, Exit::data);
  ensure(Exit::data,
         parts.is_array() && parts.size() == 2 && type_of(parts[0], where) == "Split" &&
             type_of(parts[1], where) == "ByteLevel",
         where, ": a sequence of pre-tokenizers must be a Split and a ByteLevel");
  refuse_others(parts[0], {"invert"}, where);
  refuse_others(parts[1], {"add_prefix_space"}, where);
  ensure(Exit::data, !member_or<bool>(parts[1], "use_regex", true, where, Exit::data), where,
         ": a Split followed by a ByteLevel with its own pattern is not supported");
  const auto behaviour = member<std::string>(parts[0], "behavior", where, Exit::data);
  ensure(Exit::data, behaviour == "Isolated", where, ": a Split with the behavior ", behaviour, " is not supported");
  const Json pattern = member<Json>(parts[0], "pattern", where, Exit::data);
  const auto regex = member<std::string>(pattern, "Regex", where, Exit::data);
  const PreTokenRule* const rule = find_rule_by_pattern(regex);
  ensure(Exit::data, rule != nullptr, where, ": splitting by the pattern ", regex, " is not supported");
  return rule->name;
}

}  // namespace

BpeDefinition read_bpe(const std::filesystem::path& vocabulary, const std::filesystem::path& merges) {
  BpeDefinition definition;
  const std::string name = vocabulary.string();
  definition.vocabulary = in_order(vocabulary_of(read_json(vocabulary, Exit::data), name), name);

  std::ifstream file{merges, std::ios::binary};
  ensure(Exit::data, file.is_open(), merges.string(), ": cannot be opened; the vocabulary ", name, " needs its merges");
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const auto merge = utf8::valid_prefix(line) == line.size() ? merge_of(line) : std::nullopt;
    ensure(Exit::data, merge.has_value(), merges.string(), ":", number,
           ": expected two tokens with a space between, found \"", line.substr(0, 60), "\"");
    definition.merges.push_back(*merge);
  }
  ensure(Exit::data, !file.bad(), merges.string(), ": cannot be read");
  return definition;
}

BpeDefinition read_tokenizer_json(const std::filesystem::path& file) {
  const std::string name = file.string();
  const Json json = read_json(file, Exit::data);
  const Json model = member<Json>(json, "model", name, Exit::data);
  const std::string where = name + ": model", type = member_or<std::string>(model, "type", "BPE", where, Exit::data);
  ensure(Exit::data, type == "BPE", name, ": a tokenizer of type ", type,
         " is not supported; byte-level BPE is, and SentencePiece from its .model");
  const auto pre_tokenizer = optional_member<Json>(json, "pre_tokenizer", name, Exit::data);
  ensure(Exit::data, pre_tokenizer.has_value(), name,
         ": this BPE is not byte-level (it has no pre-tokenizer); where a SentencePiece .model is beside it, use that");
  refuse_others(json, {"normalizer"}, name);
  refuse_others(model, {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"}, where);

  BpeDefinition definition;
  definition.rule = rule_of(*pre_tokenizer, name + ": pre_tokenizer");
  definition.whole_words = member_or<bool>(model, "ignore_merges", false, where, Exit::data);
  Vocabulary vocabulary = vocabulary_of(member<Json>(model, "vocab", where, Exit::data), where);
  for (const Json& token : member_or<Json>(json, "added_tokens", Json::array(), name, Exit::data))
    add(vocabulary, member<std::size_t>(token, "id", name + ": added_tokens", Exit::data),
        member<std::string>(token, "content", name + ": added_tokens", Exit::data), name + ": added_tokens");
  definition.vocabulary = in_order(vocabulary, name);
  definition.merges = merges_of(member<Json>(model, "merges", where, Exit::data), where);
  return definition;
}

std::string to_text(const BpeDefinition& definition) {
  Json merges = Json::array();
  for (const auto& [left, right] : definition.merges) merges.push_back(str(left, ' ', right));
  return Json{{"rule", definition.rule},
              {"whole_words", definition.whole_words},
              {"vocabulary", definition.vocabulary},
              {"merges", std::move(merges)}}
      .dump();
}

BpeDefinition bpe_from_text(const std::string& text, const std::string& name) {
  const Json json = parse_json(text, name, Exit::data);
  BpeDefinition definition;
  definition.rule = member<std::string>(json, "rule", name, Exit::data);
  definition.whole_words = member<bool>(json, "whole_words", name, Exit::data);
  for (const Json& token : member<Json>(json, "vocabulary", name, Exit::data)) {
    ensure(Exit::data, token.is_string(), name, ": a token must be a string, found ", json_excerpt(token));
    definition.vocabulary.push_back(token.get<std::string>());
  }
  definition.merges = merges_of(member<Json>(json, "merges", name, Exit::data), name);
  return definition;
}

}  // namespace tranche
