// Normalisation of each token's features: runtime/ops/norm.h has the formulas.
#pragma once

#include <string>
#include <vector>

#include "runtime/nn/parameter.h"

namespace tranche {

class LayerNorm {
 public:
  LayerNorm(const std::string& name, std::size_t width, double epsilon);

  Tensor forward(const Tensor& x) const;  // x, result: (batch, sequence, width)
  void collect(std::vector<Parameter*>& into) { into.insert(into.end(), {&gain_, &bias_}); }

 private:
  Parameter gain_, bias_;  // (width)
  float epsilon_;
};

class RmsNorm {
 public:
  RmsNorm(const std::string& name, std::size_t width, double epsilon);

  Tensor forward(const Tensor& x) const;  // x, result: (batch, sequence, width)
  void collect(std::vector<Parameter*>& into) { into.push_back(&gain_); }

 private:
  Parameter gain_;  // (width)
  float epsilon_;
};

}  // namespace tranche
