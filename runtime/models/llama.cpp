#include "runtime/models/llama.h"

#include <cmath>

#include "runtime/autograd/functions.h"

namespace tranche {
namespace {

// Rotary positions as they are, not stretched: null, or an object of the default type.
bool is_plain_rotary(const Json& rope) {
  if (rope.is_null()) return true;
  if (!rope.is_object()) return false;
  for (const auto& [key, value] : rope.items()) {
    const bool known = (key == "rope_theta" && value.is_number() && value > 0) ||
                       ((key == "rope_type" || key == "type") && value == "default");
    if (!known) return false;
  }
  return true;
}

}  // namespace

LlamaConfig::LlamaConfig() {
  type = "llama";
  vocabulary = 32000;
  positions = 2048;
  layers_key = "num_hidden_layers";
  layers = heads = 32;
  width = 4096;
  inner_width = 11008;
}

void LlamaConfig::declare(Section& section) {
  declare_common(section, *this);
  size_key(section, "vocab_size", vocabulary).about("Tokens that there are.");
  size_key(section, "max_position_embeddings", positions).about("The longest sequence.");
  size_key(section, "num_hidden_layers", layers).about("Blocks.");
  size_key(section, "hidden_size", width).about("Width of the residual stream.");
  size_key(section, "intermediate_size", inner_width).about("Inner width of the feed-forward layer.");
  size_key(section, "num_attention_heads", heads).about("Query heads.");
  section.key("num_key_value_heads", groups_)
      .between(1, 0x7FFFFFFF)
      .about("Heads of keys and values, of which the query heads are a multiple; as many if absent.");
  section.key("head_dim", head_width_)
      .between(2, 0x7FFFFFFF)
      .about("Width of a head, even; hidden_size / num_attention_heads if absent.");
  section.choice("hidden_act", activation, activation_words()).about("Of the feed-forward layer's gate.");
  section.key("rms_norm_eps", epsilon).above(0.0).about("Added to the mean square.");
  section.key("rope_theta", theta).above(0.0).about("Base of the rotary angles.");
  const std::string plain = "null or of the default type: stretched rotary positions are not supported yet";
  section.key("rope_parameters", rope_parameters_)
      .accept(is_plain_rotary, plain)
      .about("Later versions of transformers have rope_theta in it.");
  section.key("rope_scaling", rope_scaling_).accept(is_plain_rotary, plain).about("Of rotary positions.");
  section.key("attention_bias", attention_bias).about("The attention's projections have biases.");
  section.key("mlp_bias", mlp_bias).about("The feed-forward layer's projections have biases.");
  section.key("attention_dropout", attention_dropout).from_to_below(0.0, 1.0).about("Dropout of attention weights.");
  section.key("initializer_range", deviation).at_least(0.0).about("Standard deviation of initial weights.");
  section.key("tie_word_embeddings", tied).about("The head projects with the embedding's table.");
  section.no_effect("pretraining_tp", 1, "splitting a product changes only its rounding");
}

void LlamaConfig::complete(const std::string& place) {
  if (rope_parameters_.is_object() && rope_parameters_.contains("rope_theta"))
    theta = rope_parameters_["rope_theta"].get<double>();
  ensure(Exit::job_file, head_width_ || width % heads == 0, place, "\"hidden_size\", ", width,
         ", is not a multiple of \"num_attention_heads\", ", heads, ", and there is no \"head_dim\"");
  head_width = head_width_.value_or(width / heads);
  groups = groups_.value_or(heads);
  ensure(Exit::job_file, heads % groups == 0, place, "\"num_attention_heads\", ", heads,
         ", is not a multiple of \"num_key_value_heads\", ", groups);
  ensure(Exit::job_file, head_width % 2 == 0, place, "a head is ", head_width,
         " wide, but rotary positions turn pairs: \"head_dim\" must be even");
}

namespace {

AttentionConfig attention_of(const LlamaConfig& config) {
  return {.width = config.width,
          .heads = config.heads,
          .groups = config.groups,
          .head_width = config.head_width,
          .scale = 1 / std::sqrt(static_cast<float>(config.head_width)),
          .rotary_theta = static_cast<float>(config.theta),
          .bias = config.attention_bias ? Bias::zeros : Bias::none,
          .deviation = config.deviation,
          .output_deviation = config.deviation,
          .dropout = config.attention_dropout,
          .ranks = config.ranks,
          .left = config.left};
}

MlpConfig mlp_of(const LlamaConfig& config) {
  return {.width = config.width,
          .inner_width = config.inner_width,
          .activation = config.activation,
          .bias = config.mlp_bias ? Bias::zeros : Bias::none,
          .deviation = config.deviation,
          .down_deviation = config.deviation,
          .ranks = config.ranks,
          .left = config.left};
}

}  // namespace

Llama::Llama(const LlamaConfig& config, std::uint64_t seed)
    : Model(config, seed),
      embedding_("embedding", tokens_of(config), config.width, config.deviation),
      head_(RmsNorm{"norm", config.width, config.epsilon}, untied_head(config), embedding_) {
  Unit& embedding = add_unit("embedding", embedding_);
  for (std::size_t layer = 0; layer < config.layers; ++layer) {
    const std::string name = str("blocks.", layer);
    add_unit(name, blocks_.emplace_back(name, config, mode()));
  }
  add_unit("head", head_, config.tied ? std::vector{&embedding} : std::vector<Unit*>{});
}

Llama::Block::Block(const std::string& name, const LlamaConfig& config, const DropoutMode& mode)
    : norm1(name + ".norm1", config.width, config.epsilon),
      attention(name + ".attention", attention_of(config), mode),
      norm2(name + ".norm2", config.width, config.epsilon),
      mlp(name + ".mlp", mlp_of(config)) {}

Tensor Llama::Block::forward(const Tensor& x) const {  // x: (batch, sequence, width)
  const Tensor h = autograd::add(x, attention.forward(norm1.forward(x)));
  return autograd::add(h, mlp.forward(norm2.forward(h)));
}

void Llama::Block::collect(std::vector<Parameter*>& into) {
  norm1.collect(into);
  attention.collect(into);
  norm2.collect(into);
  mlp.collect(into);
}

}  // namespace tranche
