#include "runtime/nn/seams.h"

#include "runtime/autograd/functions.h"
#include "runtime/base/round.h"
#include "runtime/ops/elementwise.h"

namespace tranche {

ResidentStore::ResidentStore(Device& device, Precision precision, std::size_t multiple)
    : device_(device), precision_(precision), multiple_(multiple) {}

void ResidentStore::adopt(Unit& unit, const Seams& seams) {
  const Shape flat{1, padded(unit.size(), multiple_)};
  const Tensor values = Tensor::zeros(device_, unit.name(), Category::parameters, flat, precision_.working);
  unit.place(owned_.size(), values, seams);
  owned_.push_back({&unit, 0, values.size(), values});
}

Event Owned::receive(std::size_t begin, const Tensor& from, CopyStream& copies) const {
  if (away != nullptr) return away->write(*unit, begin, from);
  return copies.copy(from.byte_span(), working.view(begin, from.shape()).byte_span());
}

Tensor LinearForm::multiply(const Tensor& x, const Parameter& weight, const Tensor& bias) const {
  return autograd::linear(x, weight.tensor(), bias);
}

Tensor LinearForm::activated(ops::Activation kind, const Tensor& x, const Parameter& weight, const Tensor& bias) const {
  return autograd::activate(kind, multiply(x, weight, bias));
}

Tensor NumberForm::activated(ops::Activation kind, const Tensor& x, const Parameter& weight, const Tensor& bias) const {
  return autograd::linear_activated(kind, x, weight.tensor(), bias);
}

Tensor LinearForm::rows(const Tensor& numbers, const Parameter& table) const {
  return autograd::embedding(numbers, table.tensor());
}

void SumPlacement::add(std::span<const std::byte> from, DType dtype, const Tensor& sum) {
  ops::accumulate(from, dtype, sum);
}

Event SumPlacement::add(const Tensor& gradient, const Tensor& sum) {
  ops::store(gradient, {sum, true});
  return {};
}

Tensor& sum_of(Shards& sums, const Unit& unit, Device& home, std::size_t elements) {
  if (sums.size() <= unit.index()) sums.resize(unit.index() + 1);
  Tensor& sum = sums[unit.index()];
  if (!sum) sum = Tensor::zeros(home, unit.name() + " sum", Category::gradients, {1, elements}, DType::float32);
  return sum;
}

void add_to_sum(Shards& sums, const Unit& unit, const Tensor& gradient) {
  ops::store(gradient, {sum_of(sums, unit, gradient.device(), gradient.size()), true});
}

LocalSync::~LocalSync() {
  try {
    wait();        // the gradient that is being read is about to go
  } catch (...) {  // the failure was told where the step met it
  }
}

void LocalSync::reduce(Unit& unit, Tensor gradient) {
  if (units_.size() <= unit.index()) units_.resize(unit.index() + 1);
  units_[unit.index()] = &unit;
  if (reduction_block_ == 1)
    add(unit, std::move(gradient));
  else
    add_to_sum(block_sums_, unit, gradient);
}

void LocalSync::end_micro_batch() {
  if (reduction_block_ == 1 || ++in_block_ < reduction_block_) return;
  in_block_ = 0;
  for (std::size_t u = 0; u < block_sums_.size(); ++u) add(*units_[u], std::exchange(block_sums_[u], {}));
  wait();  // a float32 sum is too large to lie there through the next block
}

Shards LocalSync::finish() {
  wait();
  return std::exchange(sums_, {});
}

void LocalSync::add(const Unit& unit, Tensor gradient) {
  wait();  // one gradient at a time
  Device& home = place_.home(unit, gradient.device());
  done_ = place_.add(gradient, sum_of(sums_, unit, home, gradient.size()));
  if (&home != &gradient.device()) in_flight_ = std::move(gradient);  // also if it was quick: plans are exact
}

void LocalSync::wait() {
  done_.wait();
  in_flight_ = {};
}

}  // namespace tranche
