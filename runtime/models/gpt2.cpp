#include "runtime/models/gpt2.h"

#include <cmath>

#include "runtime/autograd/functions.h"
#include "runtime/models/config_keys.h"

namespace tranche {

Gpt2Config Gpt2Config::read(const Json& json, const std::string& where) {
  using ops::Activation;
  ConfigKeys keys{json, where};
  Gpt2Config config;
  config.type = "gpt2";
  config.vocabulary = keys.count({"vocab_size"}, 50257);
  config.positions = keys.count({"n_positions", "max_position_embeddings", "n_ctx"}, 1024);
  config.layers = keys.count({"n_layer", "num_hidden_layers"}, 12);
  config.width = keys.count({"n_embd", "hidden_size"}, 768);
  config.inner_width = keys.count({"n_inner"}, 4 * config.width);
  config.heads = config.groups = keys.count({"n_head", "num_attention_heads"}, 12);
  config.tied = keys.value("tie_word_embeddings", true);
  config.deviation = keys.number("initializer_range", 0.02, 0, 1e3);
  config.activation = keys.choice<Activation>("activation_function", "gelu_new",
                                              {{"gelu_new", Activation::gelu_tanh},
                                               {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                               {"gelu_fast", Activation::gelu_tanh},
                                               {"gelu", Activation::gelu_erf},
                                               {"silu", Activation::silu},
                                               {"swish", Activation::silu},
                                               {"relu", Activation::relu}});
  config.epsilon = keys.positive("layer_norm_epsilon", 1e-5);
  config.embedding_dropout = keys.probability("embd_pdrop", 0.1);
  config.attention_dropout = keys.probability("attn_pdrop", 0.1);
  config.residual_dropout = keys.probability("resid_pdrop", 0.1);
  config.scale_by_width = keys.value("scale_attn_weights", true);
  config.scale_by_layer = keys.value("scale_attn_by_inverse_layer_idx", false);
  // Scores are float32 here in any case; summaries are for classification.
  keys.without_effect({"reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
                       "summary_proj_to_labels", "summary_type", "summary_use_proj"});
  keys.finish();
  ensure(Exit::job_file, config.width % config.heads == 0, where, ": the width n_embd, ", config.width,
         ", is not divisible by n_head, ", config.heads);
  config.head_width = config.width / config.heads;
  return config;
}

Gpt2::Gpt2(const Gpt2Config& config, std::uint64_t seed)
    : Model(config, seed), start_(config, mode()), head_(config, start_.embedding) {
  Unit& embedding = add_unit("embedding", start_);
  for (std::size_t layer = 0; layer < config.layers; ++layer) {
    const std::string name = str("blocks.", layer);
    add_unit(name, blocks_.emplace_back(name, layer, config, mode()));
  }
  add_unit("head", head_, config.tied ? std::vector{&embedding} : std::vector<Unit*>{});
}

Gpt2::Start::Start(const Gpt2Config& config, const DropoutMode& mode)
    : embedding("embedding", config.vocabulary, config.width, config.deviation),
      positions("positions", config.positions, config.width, config.deviation),
      dropout("embedding.dropout", config.embedding_dropout, mode) {}

Tensor Gpt2::Start::forward(const Tensor& tokens) const {  // tokens: (batch, sequence)
  const Tensor x = embedding.forward(tokens);              // (batch, sequence, width)
  return dropout.forward(autograd::add(x, positions.forward(position_numbers(tokens))));
}

void Gpt2::Start::collect(std::vector<Parameter*>& into) {
  embedding.collect(into);
  positions.collect(into);
}

namespace {

// Projections back into the residual stream start smaller, by the square root of how many of them add up.
float residual_deviation(const Gpt2Config& config) {
  return config.deviation / std::sqrt(2 * static_cast<float>(config.layers));
}

AttentionConfig attention_of(const Gpt2Config& config, std::size_t layer) {
  float scale = config.scale_by_width ? 1 / std::sqrt(static_cast<float>(config.head_width)) : 1;
  if (config.scale_by_layer) scale /= static_cast<float>(layer + 1);
  return {.width = config.width,
          .heads = config.heads,
          .groups = config.groups,
          .head_width = config.head_width,
          .scale = scale,
          .bias = Bias::zeros,
          .deviation = config.deviation,
          .output_deviation = residual_deviation(config),
          .dropout = config.attention_dropout};
}

MlpConfig mlp_of(const Gpt2Config& config) {
  return {.width = config.width,
          .inner_width = config.inner_width,
          .activation = config.activation,
          .bias = Bias::zeros,
          .deviation = config.deviation,
          .down_deviation = residual_deviation(config)};
}

}  // namespace

Gpt2::Block::Block(const std::string& name, std::size_t layer, const Gpt2Config& config, const DropoutMode& mode)
    : norm1(name + ".norm1", config.width, config.epsilon),
      attention(name + ".attention", attention_of(config, layer), mode),
      dropout1(name + ".attention.dropout", config.residual_dropout, mode),
      norm2(name + ".norm2", config.width, config.epsilon),
      mlp(name + ".mlp", mlp_of(config)),
      dropout2(name + ".mlp.dropout", config.residual_dropout, mode) {}

Tensor Gpt2::Block::forward(const Tensor& x) const {  // x: (batch, sequence, width)
  const Tensor h = autograd::add(x, dropout1.forward(attention.forward(norm1.forward(x))));
  return autograd::add(h, dropout2.forward(mlp.forward(norm2.forward(h))));
}

void Gpt2::Block::collect(std::vector<Parameter*>& into) {
  norm1.collect(into);
  attention.collect(into);
  norm2.collect(into);
  mlp.collect(into);
}

Gpt2::Head::Head(const Gpt2Config& config, const Embedding& embedding)
    : norm("norm", config.width, config.epsilon),
      own(config.tied
              ? std::nullopt
              : std::optional<Embedding>{std::in_place, "head", config.vocabulary, config.width, config.deviation}),
      table(own ? *own : embedding) {}

Tensor Gpt2::Head::forward(const Tensor& x) const { return table.project(norm.forward(x)); }

void Gpt2::Head::collect(std::vector<Parameter*>& into) {
  norm.collect(into);
  if (own) own->collect(into);
}

}  // namespace tranche
