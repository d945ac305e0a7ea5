#include "runtime/nn/seams.h"

#include "runtime/ops/elementwise.h"

namespace tranche {

ResidentStore::ResidentStore(Device& device, Precision precision, std::size_t multiple)
    : device_(device), precision_(precision), multiple_(multiple) {}

void ResidentStore::adopt(Unit& unit, const Seams& seams, std::uint64_t seed) {
  const Shape flat{1, padded(unit.size(), multiple_)};
  const Tensor values = Tensor::zeros(device_, unit.name(), Category::parameters, flat, precision_.working);
  Owned owned{&unit, 0, values, {}};
  if (precision_.keeps_master()) {
    owned.master = Tensor::empty(device_, unit.name() + " master", Category::optimizer, flat, DType::float32);
    owned.working = values;
  }
  unit.initialise(seed, 0, owned.master);
  unit.place(owned_.size(), values, seams);
  owned_.push_back(owned);
  if (owned.working) ops::convert(owned.master, owned.working);
}

void add_to_sum(Shards& sums, const Unit& unit, const Tensor& gradient) {
  if (sums.size() <= unit.index()) sums.resize(unit.index() + 1);
  Tensor& sum = sums[unit.index()];
  if (!sum)
    sum = Tensor::zeros(gradient.device(), unit.name() + " sum", Category::gradients, gradient.shape(), DType::float32);
  ops::store(gradient, {sum, true});
}

void LocalSync::reduce(Unit& unit, Tensor gradient) {
  add_to_sum(reduction_block_ == 1 ? sums_ : block_sums_, unit, gradient);
  if (units_.size() <= unit.index()) units_.resize(unit.index() + 1);
  units_[unit.index()] = &unit;
}

void LocalSync::end_micro_batch() {
  if (reduction_block_ == 1 || ++in_block_ < reduction_block_) return;
  in_block_ = 0;
  for (std::size_t u = 0; u < block_sums_.size(); ++u) add_to_sum(sums_, *units_[u], std::exchange(block_sums_[u], {}));
}

void round_to_working(const std::vector<Owned>& owned) {
  for (const Owned& each : owned)
    if (each.working) ops::convert(each.master, each.working);
}

}  // namespace tranche
