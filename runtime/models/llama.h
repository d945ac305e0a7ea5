// Llama (Touvron et al. 2023): rotary positions, RMSNorm before each half of a block, SwiGLU, grouped keys and values.
//
// Where a Hugging Face checkpoint has a tensor:
//
//   model.embed_tokens.weight                        embedding.weight                 (vocabulary, width)
//   model.layers.N.input_layernorm.weight            blocks.N.norm1.gain              (width)
//   model.layers.N.self_attn.{q,k,v}_proj.weight     blocks.N.attention.qkv.weight    their rows, in that order
//   model.layers.N.self_attn.o_proj.weight           blocks.N.attention.output.weight (width, heads * head_width)
//   model.layers.N.post_attention_layernorm.weight   blocks.N.norm2.gain              (width)
//   model.layers.N.mlp.{gate,up}_proj.weight         blocks.N.mlp.{gate,up}.weight    (inner, width)
//   model.layers.N.mlp.down_proj.weight              blocks.N.mlp.down.weight         (width, inner)
//   model.norm.weight                                norm.gain                        (width)
//   lm_head.weight, if untied                        head.weight                      (vocabulary, width)
//
// and each projection's bias under .bias, where attention_bias or mlp_bias ask for them.
#pragma once

#include <deque>
#include <optional>

#include "runtime/models/model.h"
#include "runtime/nn/attention.h"
#include "runtime/nn/embedding.h"
#include "runtime/nn/head.h"
#include "runtime/nn/mlp.h"
#include "runtime/nn/norm.h"

namespace tranche {

struct LlamaConfig : ModelConfig {
  ops::Activation activation = ops::Activation::silu;
  double epsilon = 1e-6;
  double theta = 10000;  // rotary: the angle of pair c at position p is p * theta^(-2 c / head_width)
  double attention_dropout = 0;
  bool attention_bias = false, mlp_bias = false;

  LlamaConfig();  // the defaults of transformers
  void declare(Section& section);
  void complete(const std::string& place);  // what follows from other keys; place begins messages

 private:
  std::optional<std::size_t> groups_, head_width_;  // num_key_value_heads, head_dim
  Json rope_parameters_, rope_scaling_;
};

class Llama : public Model {
 public:
  Llama(const LlamaConfig& config, std::uint64_t seed);

 private:
  struct Block {
    RmsNorm norm1;
    Attention attention;
    RmsNorm norm2;
    GatedMlp mlp;

    Block(const std::string& name, const LlamaConfig& config, const DropoutMode& mode);
    Tensor forward(const Tensor& x) const;
    void collect(std::vector<Parameter*>& into);
  };
  Embedding embedding_;
  std::deque<Block> blocks_;
  Head<RmsNorm> head_;
};

}  // namespace tranche
