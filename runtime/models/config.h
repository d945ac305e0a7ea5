// What a Hugging Face config.json says of a language model, in what all architectures share.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/settings.h"
#include "runtime/nn/linear.h"
#include "runtime/ops/activation.h"

namespace tranche {

struct ModelConfig {
  std::string type;                           // "gpt2", "llama"
  std::size_t vocabulary = 0, positions = 0;  // logits a token; the longest sequence
  std::size_t layers = 0, width = 0, inner_width = 0;
  std::size_t heads = 0, groups = 0, head_width = 0;  // groups: of heads that share keys and values
  bool tied = false;                                  // the head projects with the embedding's table
  double deviation = 0.02;                            // of initial weights

  std::string layers_key;        // the name of the key that has `layers`
  bool numbered_blocks = false;  // what a block computes depends on its number

  Json low_rank, pruned_to;  // the keys of those names, and what they say
  LinearRanks ranks{};
  FeatureCounts left{};

  Json settings;                            // every key that has an effect, defaults filled in
  std::vector<std::string> without_effect;  // a line for each reason why keys of the file have none
};

// An object of numbers by name, { "blocks.0.mlp.up": 16, ... }; null: none. Throws Exit::job_file, beginning with
// `place` and naming the key, for what is none.
std::map<std::string, std::size_t> numbers_by_name(const Json& object, const std::string& key,
                                                   const std::string& place);

// Reads a configuration that has declare(Section&) and complete(place), as Gpt2Config and LlamaConfig have. `path` is
// where the object stands in its source: "" for a config.json, "model" for one within a job file. Throws Exit::job_file
// for a key or value that is unknown, out of range, or asks for what is not implemented.
template <class Config> Config read_config(const Json& object, const Source& source, const std::string& path) {
  Config config;
  Section section{path};
  config.declare(section);
  section.load(object, source);
  config.complete(section.place_of(path));
  const auto numbers = [&](const Json& numbered, const std::string& key) {
    return numbers_by_name(numbered, key, section.place_of(path.empty() ? key : str(path, ".", key)));
  };
  config.ranks = numbers(config.low_rank, "low_rank");
  config.left = numbers(config.pruned_to, "pruned_to");
  config.settings = section.values();
  config.without_effect = section.without_effect();
  return config;
}

// model_type, low_rank, pruned_to, and the keys that the transformers library writes for its own use.
void declare_common(Section& section, ModelConfig& config);

// keys: names with blanks between them.
void declare_without_effect(Section& section, const std::string& keys, const std::string& reason);

// A size: 1 .. 2^31 - 1.
Key<std::size_t> size_key(Section& section, const std::string& name, std::size_t& target);

// The names that transformers gives to activations.
std::vector<std::pair<std::string, ops::Activation>> activation_words();

}  // namespace tranche
