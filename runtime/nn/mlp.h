// The two forms of a transformer's feed-forward layer.
#pragma once

#include <string>
#include <vector>

#include "runtime/nn/linear.h"
#include "runtime/ops/activation.h"

namespace tranche {

struct MlpConfig {
  std::size_t width = 0, inner_width = 0;
  ops::Activation activation = ops::Activation::gelu_tanh;
  Bias bias = Bias::zeros;
  double deviation = 0, down_deviation = 0;  // of the initial weights
  LinearRanks ranks{};
  FeatureCounts left{};  // of "NAME.neurons"
};

// down(activation(up(x)))
class Mlp {
 public:
  Mlp(const std::string& name, const MlpConfig& config);

  Tensor forward(const Tensor& x) const;  // x, result: (batch, sequence, width)
  void collect(std::vector<Parameter*>& into);

 private:
  Linear up_, down_;
  ops::Activation activation_;
};

// Shazeer 2020 (SwiGLU and kin): down(activation(gate(x)) * up(x))
class GatedMlp {
 public:
  GatedMlp(const std::string& name, const MlpConfig& config);

  Tensor forward(const Tensor& x) const;  // x, result: (batch, sequence, width)
  void collect(std::vector<Parameter*>& into);

 private:
  Linear gate_, up_, down_;
  ops::Activation activation_;
};

}  // namespace tranche
