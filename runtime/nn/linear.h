// A linear map of the last dimension.
#pragma once

#include <string>
#include <vector>

#include "runtime/nn/parameter.h"

namespace tranche {

enum class Bias { none, zeros };  // zeros: there is one, and it starts as zero

class Linear {
 public:
  // weight: (out, in), starts normal with this deviation.
  Linear(const std::string& name, std::size_t in, std::size_t out, Bias bias, double deviation);

  Tensor forward(const Tensor& x) const;  // (batch, sequence, in) to (batch, sequence, out)
  void collect(std::vector<Parameter*>& into);

 private:
  Parameter weight_, bias_;
  Bias has_bias_;
};

}  // namespace tranche
