// Reads a Hugging Face config.json key by key, so that none is ignored in silence.
//
//   ConfigKeys keys{config, "config.json"};
//   const auto layers = keys.count("n_layer", 12);
//   keys.neutral("pruned_heads", Json::object());
//   keys.without_effect({"torch_dtype"});
//   keys.finish();
//
// Every function throws Exit::job_file, naming the object and the key.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/json.h"

namespace tranche {

class ConfigKeys {
 public:
  ConfigKeys(const Json& config, std::string where);

  // Whether the key is there with a value other than null.
  bool has(const std::string& key);

  // The key's value, or `otherwise` if it is absent or null.
  template <class T> T value(const std::string& key, T otherwise) {
    known_.insert(key);
    return member_or<T>(config_, key, std::move(otherwise), where_, Exit::job_file);
  }
  // A size: 1 .. 2^31 - 1. The first of the names that is there; two that disagree are an error.
  std::size_t count(const std::vector<std::string>& names, std::size_t otherwise);
  float number(const std::string& key, double otherwise, double least, double most);  // least <= value <= most
  float positive(const std::string& key, double otherwise);
  float probability(const std::string& key, double otherwise);  // [0, 1)
  // One of a few words.
  template <class T>
  T choice(const std::string& key, const std::string& otherwise, const std::vector<std::pair<std::string, T>>& words) {
    const auto word = value<std::string>(key, otherwise);
    std::string all;
    for (const auto& [each, meaning] : words) {
      if (each == word) return meaning;
      all += (all.empty() ? "" : ", ") + each;
    }
    fail(Exit::job_file, str(where_, ": \"", key, "\" is \"", word, "\", which is not implemented; there are: ", all));
  }

  // A key whose effect is not implemented: accepted with the value that switches it off, or null.
  void neutral(const std::string& key, const Json& off);
  // Keys that change nothing here, whatever they hold.
  void without_effect(std::initializer_list<const char*> keys);
  // No other key may be there.
  void finish() const;

  const std::string& where() const { return where_; }

 private:
  const Json& config_;
  std::string where_;
  std::set<std::string> known_;
};

// The word of `words` that takes the fewest insertions, deletions and changes of a letter (Levenshtein 1966).
std::string nearest(const std::string& word, const std::set<std::string>& words);

}  // namespace tranche
