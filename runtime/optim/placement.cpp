#include "runtime/optim/placement.h"

#include <utility>

#include "runtime/base/trace.h"
#include "runtime/ops/elementwise.h"
#include "runtime/optim/state_sums.h"

namespace tranche {

void round(const StatePiece& piece) {
  if (piece.rounded) ops::convert(piece.master, piece.rounded);
}

void StateTensors::add_master(const Owned& owned, Device& home, bool separate, std::uint64_t seed) {
  Tensor master = separate ? Tensor::empty(home, owned.unit->name() + " master", Category::optimizer, {1, owned.size},
                                           DType::float32)
                           : owned.working.detached();
  owned.unit->initialise(seed, owned.first, master);  // no rank ever needs the whole
  kinds_[0].push_back(std::move(master));
  units_.push_back(owned.unit);
}

void StateTensors::add_moment(const std::string& name) {
  std::vector<Tensor> tensors;
  for (const Tensor& master : kinds_[0])
    tensors.push_back(Tensor::zeros(master.device(), units_[tensors.size()]->name() + " " + name, Category::optimizer,
                                    master.shape(), DType::float32));
  kinds_.push_back(std::move(tensors));
}

StatePiece StateTensors::piece(std::size_t unit, std::size_t first, std::size_t count, const Tensor& gradient) const {
  const Shape part{1, count};
  StatePiece piece{
      .name = units_[unit]->name(), .unit = unit, .first = first, .master = master(unit).view(first, part)};
  if (gradient) piece.gradient = gradient.view(first, part);
  for (std::size_t kind = 1; kind < kinds_.size(); ++kind)
    piece.moments.push_back(kinds_[kind][unit].view(first, part));
  return piece;
}

void ResidentPlacement::adopt(const std::vector<Owned>& owned, std::uint64_t seed) {
  owned_ = &owned;
  for (const Owned& each : owned) state_.add_master(each, each.working.device(), precision_.keeps_master(), seed);
  round();
}

void ResidentPlacement::add_moment(const std::string& name) {
  kinds_.push_back(name);
  state_.add_moment(name);
}

void OptimizerPlacement::update(const Shards& gradients, std::size_t summed, const Work& work) {
  {
    const trace::Span span{trace::Kind::wait, "wait for who reads the state"};
    std::exchange(read_, {}).wait();
  }
  const auto all = [](const std::vector<Work>& works, const StatePiece& at) {
    for (const Work& each : works) each(at);
  };
  do_update(gradients, [&](const StatePiece& at) {
    const Doing frame{[&] { return str("updating ", at.name); }};
    const trace::Span span{trace::Kind::optimizer, "update", at.name};
    if (sums_ == nullptr || !StateSums::concern(at)) {
      all(preceding_, at);
      work(at);
      all(followers_, at);
      return;
    }
    StatePiece piece = at;
    piece.sums = sums_->passing(at, summed);
    all(preceding_, at);
    work(piece);
    sums_->compare_found(at);
    if (followers_.empty() && summed == kinds_.size()) return sums_->keep_left(at);
    all(followers_, at);
    sums_->read_left(at);
  });
}

Tensor OptimizerPlacement::borrow(std::size_t kind, std::size_t unit) {
  Tensor whole = do_borrow(kind, unit);
  if (sums_ != nullptr) sums_->compare(kind, unit, whole);
  return whole;
}

void OptimizerPlacement::give_back(std::size_t kind, std::size_t unit, std::span<const float> borrowed) {
  do_give_back(kind, unit, borrowed);
  if (sums_ != nullptr) sums_->forget(kind, unit);
}

void ResidentPlacement::do_update(const Shards& gradients, const Work& work) {
  for (std::size_t u = 0; u < owned_->size(); ++u) {
    const Tensor& working = (*owned_)[u].working;
    StatePiece piece = state_.piece(u, 0, working.size(), gradients[u]);
    if (precision_.keeps_master()) piece.rounded = working;
    work(piece);
    updated_(*(*owned_)[u].unit);
  }
}

void ResidentPlacement::round() {
  if (!precision_.keeps_master()) return;
  for (std::size_t u = 0; u < owned_->size(); ++u) ops::convert(state_.master(u), (*owned_)[u].working);
}

}  // namespace tranche
