#include "runtime/nn/mlp.h"

#include "runtime/autograd/functions.h"

namespace tranche {
namespace {

Features neurons_of(const std::string& name, const MlpConfig& config) {
  const std::string neurons = name + ".neurons";
  return {FeatureKind::neurons, neurons, left_of(config.left, neurons, config.inner_width)};
}

}  // namespace

Mlp::Mlp(const std::string& name, const MlpConfig& config)
    : up_(name + ".up", stream_of(config.width), neurons_of(name, config), config.bias, config.deviation, config.ranks),
      down_(name + ".down", neurons_of(name, config), stream_of(config.width), config.bias, config.down_deviation,
            config.ranks),
      activation_(config.activation) {}

Tensor Mlp::forward(const Tensor& x) const { return down_.forward(up_.activated(activation_, x)); }

void Mlp::collect(std::vector<Parameter*>& into) {
  up_.collect(into);
  down_.collect(into);
}

GatedMlp::GatedMlp(const std::string& name, const MlpConfig& config)
    : gate_(name + ".gate", stream_of(config.width), neurons_of(name, config), config.bias, config.deviation,
            config.ranks),
      up_(name + ".up", stream_of(config.width), neurons_of(name, config), config.bias, config.deviation, config.ranks),
      down_(name + ".down", neurons_of(name, config), stream_of(config.width), config.bias, config.down_deviation,
            config.ranks),
      activation_(config.activation) {}

Tensor GatedMlp::forward(const Tensor& x) const {
  const Tensor gate = gate_.forward(x);  // first: their order is the order in which x's gradient is summed
  return down_.forward(autograd::gated(activation_, gate, up_.forward(x)));
}

void GatedMlp::collect(std::vector<Parameter*>& into) {
  gate_.collect(into);
  up_.collect(into);
  down_.collect(into);
}

}  // namespace tranche
