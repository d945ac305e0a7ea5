#include "runtime/models/config_keys.h"

#include <algorithm>
#include <numeric>

namespace tranche {

ConfigKeys::ConfigKeys(const Json& config, std::string where) : config_(config), where_(std::move(where)) {
  ensure(Exit::job_file, config.is_object(), where_, ": a model's configuration is an object, found ",
         json_excerpt(config));
  // What the transformers library writes beside an architecture's own keys, for its own saving, loading and generating.
  without_effect({"_name_or_path",
                  "architectures",
                  "auto_map",
                  "begin_suppress_tokens",
                  "bos_token_id",
                  "dtype",
                  "eos_token_id",
                  "finetuning_task",
                  "gradient_checkpointing",
                  "id2label",
                  "label2id",
                  "max_length",
                  "model_type",
                  "name_or_path",
                  "num_labels",
                  "output_attentions",
                  "output_hidden_states",
                  "output_past",
                  "pad_token_id",
                  "prefix",
                  "problem_type",
                  "return_dict",
                  "sep_token_id",
                  "task_specific_params",
                  "tokenizer_class",
                  "torch_dtype",
                  "torchscript",
                  "transformers_version",
                  "unsloth_version",
                  "use_bfloat16",
                  "use_cache"});
  neutral("add_cross_attention", false);
  neutral("is_encoder_decoder", false);
  neutral("pruned_heads", Json::object());
  neutral("quantization_config", nullptr);
}

bool ConfigKeys::has(const std::string& key) {
  known_.insert(key);
  return config_.contains(key) && !config_.at(key).is_null();
}

std::size_t ConfigKeys::count(const std::vector<std::string>& names, std::size_t otherwise) {
  const std::string* given = nullptr;
  std::size_t result = otherwise;
  for (const std::string& name : names) {
    if (!has(name)) continue;
    const auto size = value<std::size_t>(name, 0);
    ensure(Exit::job_file, size >= 1 && size <= 0x7FFFFFFF, where_, ": \"", name,
           "\" must be from 1 to 2147483647, found ", size);
    ensure(Exit::job_file, given == nullptr || size == result, where_, ": \"", name, "\" is ", size, ", but \"",
           given == nullptr ? "" : *given, "\", which means the same, is ", result);
    given = &name;
    result = size;
  }
  return result;
}

float ConfigKeys::number(const std::string& key, double otherwise, double least, double most) {
  const auto number = value<double>(key, otherwise);
  ensure(Exit::job_file, number >= least && number <= most, where_, ": \"", key, "\" must be from ", least, " to ",
         most, ", found ", number);
  return static_cast<float>(number);
}

float ConfigKeys::positive(const std::string& key, double otherwise) {
  const auto number = value<double>(key, otherwise);
  ensure(Exit::job_file, static_cast<float>(number) > 0 && number < 1e38, where_, ": \"", key,
         "\" must be greater than 0, found ", number);
  return static_cast<float>(number);
}

float ConfigKeys::probability(const std::string& key, double otherwise) {
  const auto number = value<double>(key, otherwise);
  ensure(Exit::job_file, number >= 0 && static_cast<float>(number) < 1, where_, ": \"", key,
         "\" is a probability of at least 0 and below 1, found ", number);
  return static_cast<float>(number);
}

void ConfigKeys::neutral(const std::string& key, const Json& off) {
  ensure(Exit::job_file, !has(key) || config_.at(key) == off, where_, ": \"", key,
         "\" asks for something that is not implemented: remove it, or set it to ", off.dump());
}

void ConfigKeys::without_effect(std::initializer_list<const char*> keys) { known_.insert(keys.begin(), keys.end()); }

void ConfigKeys::finish() const {
  for (const auto& [key, value] : config_.items())
    ensure(Exit::job_file, known_.contains(key), where_, ": unknown key \"", key, "\"; the nearest known one is \"",
           nearest(key, known_), '"');
}

std::string nearest(const std::string& word, const std::set<std::string>& words) {
  std::string best;
  std::size_t least = std::string::npos;
  for (const std::string& candidate : words) {
    std::vector<std::size_t> row(candidate.size() + 1);  // changes from a beginning of word to candidate's beginnings
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < word.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i + 1);
      for (std::size_t j = 0; j < candidate.size(); ++j)
        diagonal =
            std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, diagonal + (word[i] != candidate[j])}));
    }
    if (row.back() >= least) continue;
    least = row.back();
    best = candidate;
  }
  return best;
}

}  // namespace tranche
