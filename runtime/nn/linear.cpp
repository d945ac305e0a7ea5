#include "runtime/nn/linear.h"

namespace tranche {

Linear::Linear(const std::string& name, std::size_t in, std::size_t out, Bias bias, double deviation)
    : weight_{name + ".weight", {out, in}, Initial::normal(static_cast<float>(deviation))},
      bias_{name + ".bias", {out}, Initial::zeros()},
      has_bias_(bias) {}

Tensor Linear::forward(const Tensor& x) const {
  return weight_.multiplied(x, has_bias_ == Bias::zeros ? bias_.tensor() : Tensor{});
}

void Linear::collect(std::vector<Parameter*>& into) {
  into.push_back(&weight_);
  if (has_bias_ == Bias::zeros) into.push_back(&bias_);
}

}  // namespace tranche
