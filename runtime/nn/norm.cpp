#include "runtime/nn/norm.h"

#include "runtime/autograd/functions.h"

namespace tranche {

LayerNorm::LayerNorm(const std::string& name, std::size_t width, double epsilon)
    : gain_{name + ".gain", {width}, Initial::ones(), {stream_of(width)}},
      bias_{name + ".bias", {width}, Initial::zeros(), {stream_of(width)}},
      epsilon_(static_cast<float>(epsilon)) {}

Tensor LayerNorm::forward(const Tensor& x) const {
  return autograd::layer_norm(x, gain_.tensor(), bias_.tensor(), epsilon_);
}

RmsNorm::RmsNorm(const std::string& name, std::size_t width, double epsilon)
    : gain_{name + ".gain", {width}, Initial::ones(), {stream_of(width)}}, epsilon_(static_cast<float>(epsilon)) {}

Tensor RmsNorm::forward(const Tensor& x) const { return autograd::rms_norm(x, gain_.tensor(), epsilon_); }

}  // namespace tranche
