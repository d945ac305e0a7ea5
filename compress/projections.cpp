#include "compress/projections.h"

#include <cmath>

#include "compress/block_names.h"
#include "runtime/autograd/functions.h"

namespace tranche::compress {
Projections::Projections(const HiddenStatesConfig& config, std::size_t width, std::size_t width_of_teacher) {
  const Initial initial = Initial::normal(1 / std::sqrt(static_cast<float>(width)));
  for (std::size_t pair = 0; pair < config.pairs.all.size(); ++pair) {
    const std::string name = str(beside_the_model, "hidden_states.", pair);
    Parameter& weight = weights_.emplace_back(Parameter{name + ".weight", {width_of_teacher, width}, initial});
    units_.emplace_back(name, std::vector<Parameter*>{&weight},
                        [&weight](const Tensor& x) { return autograd::linear(x, weight.value); });
  }
}

Tensor Projections::project(std::size_t pair, const Tensor& x) { return forward(units_[pair], autograd::passed_on(x)); }

}  // namespace tranche::compress
