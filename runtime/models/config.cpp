#include "runtime/models/config.h"

#include <sstream>

namespace tranche {

void declare_without_effect(Section& section, const std::string& keys, const std::string& reason) {
  std::istringstream words{keys};
  for (std::string key; words >> key;) section.no_effect(key, nullptr, reason);
}

std::map<std::string, std::size_t> numbers_by_name(const Json& object, const std::string& key,
                                                   const std::string& place) {
  std::map<std::string, std::size_t> numbers;
  if (object.is_null()) return numbers;
  ensure(Exit::job_file, object.is_object(), place, '"', key, "\" must be an object of numbers by name, found ",
         json_excerpt(object));
  for (const auto& [name, value] : object.items()) {
    const auto number = json_as<std::size_t>(value);
    ensure(Exit::job_file, number.has_value(), place, '"', key, "\": what \"", name,
           "\" has must be a whole number, found ", json_excerpt(value));
    numbers[name] = *number;
  }
  return numbers;
}

void declare_common(Section& section, ModelConfig& config) {
  section.key("model_type", config.type).about("The architecture: gpt2 or llama.");
  section.key("low_rank", config.low_rank)
      .about(
          "Ranks of linears whose weight is a product of two, by name: {\"blocks.0.mlp.up\": 16}. `tranche compress "
          "low-rank` writes it. This key is ours.");
  section.key("pruned_to", config.pruned_to)
      .about(
          "How many heads and neurons are left of those that the other keys say, by name: "
          "{\"blocks.0.attention.heads\": 2, \"blocks.0.mlp.neurons\": 300}. Where keys and values are shared, a head "
          "is one "
          "of those with the query heads that share it. `tranche compress prune-structure` writes it. This key is "
          "ours.");
  declare_without_effect(
      section,
      "_attn_implementation _name_or_path architectures attn_implementation auto_map bos_token_id "
      "cross_attention_hidden_size decoder_start_token_id dtype eos_token_id finetuning_task gradient_checkpointing "
      "id2label is_decoder label2id name_or_path num_labels output_attentions output_hidden_states output_past "
      "output_scores pad_token_id prefix problem_type remove_invalid_values return_dict return_dict_in_generate "
      "sep_token_id tf_legacy_loss tie_encoder_decoder tokenizer_class torch_dtype torchscript transformers_version "
      "unsloth_version use_bfloat16 use_cache",
      "it is a note of the transformers library to itself");
  declare_without_effect(
      section,
      "bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size "
      "exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty max_length min_length "
      "no_repeat_ngram_size num_beam_groups num_beams num_return_sequences repetition_penalty suppress_tokens "
      "task_specific_params temperature top_k top_p typical_p",
      "sampling is told by the arguments of `tranche generate`");
  section.not_yet("add_cross_attention", false, "cross-attention");
  section.not_yet("chunk_size_feed_forward", 0, "a feed-forward layer in chunks");
  section.not_yet("is_encoder_decoder", false, "an encoder");
  section.not_yet("pruned_heads", Json::object(),
                  "removing heads by their numbers; `pruned_to` says how many are left");
  section.not_yet("quantization_config", nullptr, "training a quantized checkpoint");
}

Key<std::size_t> size_key(Section& section, const std::string& name, std::size_t& target) {
  return section.key(name, target).between(1, 0x7FFFFFFF);
}

std::vector<std::pair<std::string, ops::Activation>> activation_words() {
  using ops::Activation;
  return {{"gelu_new", Activation::gelu_tanh},
          {"gelu_pytorch_tanh", Activation::gelu_tanh},
          {"gelu_fast", Activation::gelu_tanh},
          {"gelu", Activation::gelu_erf},
          {"silu", Activation::silu},
          {"swish", Activation::silu},
          {"relu", Activation::relu}};
}

}  // namespace tranche
