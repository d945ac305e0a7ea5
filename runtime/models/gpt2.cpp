#include "runtime/models/gpt2.h"

#include <cmath>

#include "runtime/autograd/functions.h"

namespace tranche {

Gpt2Config::Gpt2Config() {
  type = "gpt2";
  layers_key = "n_layer";
  vocabulary = 50257;
  positions = 1024;
  layers = heads = 12;
  width = 768;
  tied = true;
}

void Gpt2Config::declare(Section& section) {
  declare_common(section, *this);
  size_key(section, "vocab_size", vocabulary).about("Tokens that there are.");
  size_key(section, "n_positions", positions).about("The longest sequence.");
  section.key("n_ctx", context_).at_least(1).about("The same, as old files have it.");
  size_key(section, "n_layer", layers).about("Blocks.");
  size_key(section, "n_embd", width).about("Width of the residual stream.");
  section.key("n_inner", inner_)
      .between(1, 0x7FFFFFFF)
      .about("Inner width of the feed-forward layer; 4 n_embd if absent.");
  size_key(section, "n_head", heads).about("Attention heads; n_embd is a multiple.");
  section.choice("activation_function", activation, activation_words()).about("Of the feed-forward layer.");
  section.key("layer_norm_epsilon", epsilon).above(0.0).about("Added to the variance.");
  section.key("embd_pdrop", embedding_dropout).from_to_below(0.0, 1.0).about("Dropout of embeddings.");
  section.key("attn_pdrop", attention_dropout).from_to_below(0.0, 1.0).about("Dropout of attention weights.");
  section.key("resid_pdrop", residual_dropout)
      .from_to_below(0.0, 1.0)
      .about("Dropout of what blocks add to the stream.");
  section.key("initializer_range", deviation).at_least(0.0).about("Standard deviation of initial weights.");
  section.key("tie_word_embeddings", tied).about("The head projects with the embedding's table.");
  section.key("scale_attn_weights", scale_by_width)
      .about("Attention scores are divided by the root of a head's width.");
  section.key("scale_attn_by_inverse_layer_idx", scale_by_layer).about("And by the block's number, counted from 1.");
  section.no_effect("reorder_and_upcast_attn", false, "attention scores are float32 in any case");
  declare_without_effect(
      section, "summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj",
      "it is for classification");
}

void Gpt2Config::complete(const std::string& place) {
  ensure(Exit::job_file, !context_ || *context_ == positions, place, "\"n_ctx\" is ", context_.value_or(0),
         ", but \"n_positions\" is ", positions, ": they mean the same");
  ensure(Exit::job_file, width % heads == 0, place, "\"n_embd\", ", width, ", is not a multiple of \"n_head\", ",
         heads);
  inner_width = inner_.value_or(4 * width);
  groups = heads;
  numbered_blocks = scale_by_layer;
  head_width = width / heads;
}

namespace {

// Projections back into the residual stream start smaller, by the square root of how many of them add up.
double residual_deviation(const Gpt2Config& config) {
  return config.deviation / std::sqrt(2 * static_cast<double>(config.layers));
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
          .dropout = config.attention_dropout,
          .ranks = config.ranks,
          .left = config.left};
}

MlpConfig mlp_of(const Gpt2Config& config) {
  return {.width = config.width,
          .inner_width = config.inner_width,
          .activation = config.activation,
          .bias = Bias::zeros,
          .deviation = config.deviation,
          .down_deviation = residual_deviation(config),
          .ranks = config.ranks,
          .left = config.left};
}

}  // namespace

Gpt2::Gpt2(const Gpt2Config& config, std::uint64_t seed)
    : Model(config, seed),
      start_(config, mode()),
      head_(LayerNorm{"norm", config.width, config.epsilon}, untied_head(config), start_.embedding) {
  Unit& embedding = add_unit("embedding", start_);
  for (std::size_t layer = 0; layer < config.layers; ++layer) {
    const std::string name = str("blocks.", layer);
    add_unit(name, blocks_.emplace_back(name, layer, config, mode()));
  }
  add_unit("head", head_, config.tied ? std::vector{&embedding} : std::vector<Unit*>{});
}

Gpt2::Start::Start(const Gpt2Config& config, const DropoutMode& mode)
    : embedding("embedding", tokens_of(config), config.width, config.deviation),
      positions("positions", {FeatureKind::positions, "positions", config.positions}, config.width, config.deviation),
      dropout("embedding.dropout", config.embedding_dropout, mode) {}

Tensor Gpt2::Start::forward(const Tensor& tokens) const {  // tokens: (batch, sequence)
  const Tensor x = embedding.forward(tokens);              // (batch, sequence, width)
  return dropout.forward(autograd::add(x, positions.forward(position_numbers(tokens))));
}

void Gpt2::Start::collect(std::vector<Parameter*>& into) {
  embedding.collect(into);
  positions.collect(into);
}

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

}  // namespace tranche
