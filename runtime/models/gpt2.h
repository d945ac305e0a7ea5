// GPT-2 (Radford et al. 2019): learned positions, LayerNorm before each half of a block, a head tied to the embedding.
//
// Where a Hugging Face checkpoint has a tensor (Conv1D weights are (in, out): transposed to our (out, in)):
//
//   transformer.wte.weight                     embedding.weight                 (vocabulary, width)
//   transformer.wpe.weight                     positions.weight                 (positions, width)
//   transformer.h.N.ln_1.weight, .bias         blocks.N.norm1.gain, .bias       (width)
//   transformer.h.N.attn.c_attn.weight^T       blocks.N.attention.qkv.weight    (3 width, width): queries, keys, values
//   transformer.h.N.attn.c_attn.bias           blocks.N.attention.qkv.bias      (3 width)
//   transformer.h.N.attn.c_proj.weight^T       blocks.N.attention.output.weight (width, width)
//   transformer.h.N.attn.c_proj.bias           blocks.N.attention.output.bias   (width)
//   transformer.h.N.ln_2.weight, .bias         blocks.N.norm2.gain, .bias       (width)
//   transformer.h.N.mlp.c_fc.weight^T, .bias   blocks.N.mlp.up.weight, .bias    (inner, width), (inner)
//   transformer.h.N.mlp.c_proj.weight^T, .bias blocks.N.mlp.down.weight, .bias  (width, inner), (width)
//   transformer.ln_f.weight, .bias             norm.gain, norm.bias             (width)
//   lm_head.weight, if untied                  head.weight                      (vocabulary, width)
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

struct Gpt2Config : ModelConfig {
  ops::Activation activation = ops::Activation::gelu_tanh;
  double epsilon = 1e-5;
  double embedding_dropout = 0.1, attention_dropout = 0.1, residual_dropout = 0.1;
  bool scale_by_width = true;   // attention scores by 1 / sqrt(head_width)
  bool scale_by_layer = false;  // and by 1 / (layer + 1)

  Gpt2Config();  // the defaults of transformers
  void declare(Section& section);
  void complete(const std::string& place);  // what follows from other keys; place begins messages

 private:
  std::optional<std::size_t> inner_, context_;  // n_inner, n_ctx
};

class Gpt2 : public Model {
 public:
  Gpt2(const Gpt2Config& config, std::uint64_t seed);

 private:
  struct Start {  // the unit "embedding"
    Embedding embedding, positions;
    Dropout dropout;

    Start(const Gpt2Config& config, const DropoutMode& mode);
    Tensor forward(const Tensor& tokens) const;
    void collect(std::vector<Parameter*>& into);
  };
  struct Block {
    LayerNorm norm1;
    Attention attention;
    Dropout dropout1;
    LayerNorm norm2;
    Mlp mlp;
    Dropout dropout2;

    Block(const std::string& name, std::size_t layer, const Gpt2Config& config, const DropoutMode& mode);
    Tensor forward(const Tensor& x) const;
    void collect(std::vector<Parameter*>& into);
  };
  Start start_;
  std::deque<Block> blocks_;
  Head<LayerNorm> head_;
};

}  // namespace tranche
