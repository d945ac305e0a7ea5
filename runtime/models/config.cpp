#include "runtime/models/config.h"

namespace tranche {

void declare_common(Section& section, std::string& type) {
  section.key("model_type", type).about("The architecture: gpt2 or llama.");
  for (const char* key : {"_name_or_path",
                          "architectures",
                          "auto_map",
                          "bos_token_id",
                          "dtype",
                          "eos_token_id",
                          "finetuning_task",
                          "gradient_checkpointing",
                          "id2label",
                          "label2id",
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
                          "tokenizer_class",
                          "torch_dtype",
                          "torchscript",
                          "transformers_version",
                          "unsloth_version",
                          "use_bfloat16",
                          "use_cache"})
    section.no_effect(key, nullptr, "it is a note of the transformers library to itself");
  for (const char* key : {"do_sample", "early_stopping", "length_penalty", "max_length", "min_length",
                          "no_repeat_ngram_size", "num_beams", "num_return_sequences", "repetition_penalty",
                          "task_specific_params", "temperature", "top_k", "top_p"})
    section.no_effect(key, nullptr, "sampling is told by the arguments of `tranche generate`");
  section.not_yet("add_cross_attention", false, "cross-attention");
  section.not_yet("chunk_size_feed_forward", 0, "a feed-forward layer in chunks");
  section.not_yet("is_encoder_decoder", false, "an encoder");
  section.not_yet("pruned_heads", Json::object(), "removing heads");
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
