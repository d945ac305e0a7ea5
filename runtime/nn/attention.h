// Causal self-attention between two projections (Vaswani et al. 2017), with grouped keys and values (Ainslie et al.
// 2023) and rotary positions (Su et al. 2021) where the model has them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/nn/dropout.h"
#include "runtime/nn/linear.h"

namespace tranche {

struct AttentionConfig {
  std::size_t width = 0;              // of the residual stream
  std::size_t heads = 0, groups = 0;  // groups: of heads that share keys and values; divides heads
  std::size_t head_width = 0;
  float scale = 1;                             // of q . k
  std::optional<float> rotary_theta{};         // none: positions are known already
  Bias bias = Bias::zeros;                     // of both projections
  double deviation = 0, output_deviation = 0;  // of their initial weights
  double dropout = 0;                          // of attention weights
  LinearRanks ranks{};
  FeatureCounts left{};  // of "NAME.heads": groups with the heads that share them
};

// Offers "NAME.qkv", the fused projection that it attends over, with its positions (runtime/nn/tap.h).
class Attention {
 public:
  Attention(const std::string& name, const AttentionConfig& config, const DropoutMode& mode);

  Tensor forward(const Tensor& x) const;  // x, result: (batch, sequence, width)
  void collect(std::vector<Parameter*>& into);

 private:
  Features queries(const std::string& name) const;  // of heads: what the output projection reads
  Features queries_keys_values(const std::string& name) const;

  std::string name_;
  AttentionConfig config_;  // of what is left
  Linear qkv_;              // rows: all queries, all keys, all values; head by head
  Linear output_;
  Dropout dropout_;
};

}  // namespace tranche
