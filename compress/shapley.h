// Shapley values of heads and blocks: what each adds to a trained model, averaged over the orders in which they could
// be removed (Castro, Gomez, Tejada 2009 sample those).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compress/structure.h"
#include "runtime/models/model.h"
#include "runtime/nn/seams.h"

namespace tranche::compress {

// Features of a model that are there or not; a block is skipped, a head is read as zero. The model has this in its
// seams, one rank holds it whole in float32, and it stays where it is.
class Players : public ActivationPolicy {
 public:
  explicit Players(std::uint64_t seed, std::size_t orders) : seed_(seed), orders_(orders) {}

  Tensor run(const Forward& forward, const Tensor& x) const override;

  // The mean over `orders` of how much the loss grows when each goes behind those before it: of all heads of the model,
  // and of its blocks. loss: of the model as it is.
  Scores of_heads(Model& model, const std::function<double()>& loss);
  Scores of_blocks(Model& model, const std::function<double()>& loss);

 private:
  struct Player {
    std::string name;  // of the features, or blocks_name
    std::size_t number = 0;
  };
  Scores play(Model& model, const std::vector<Player>& players, const std::function<double()>& loss);
  void remove(Model& model, const Player& player);

  std::uint64_t seed_;
  std::size_t orders_;
  mutable std::size_t visited_ = 0;  // units of the forward under way
  std::vector<bool> skipped_{};      // by unit
};

}  // namespace tranche::compress
