#include "partition/partitioned_store.h"

#include <utility>

#include "partition/shard_plan.h"
#include "runtime/base/trace.h"

namespace tranche {

PartitionedStore::PartitionedStore(const ZeroConfig& config, Precision precision, Communicator& world, Device& device,
                                   SlicePlacement* away)
    : config_(config), precision_(precision), world_(world), device_(device), away_(away) {
  check(config.stage >= 1 && config.stage <= 3, "a partitioned store is for stages 1 to 3, not ", config.stage);
  check(away == nullptr || config.stage == 3, "slices are away from the device at stage 3 alone, not ", config.stage);
}

PartitionedStore::~PartitionedStore() {
  // Nobody may write into storage that is about to go: what failed left gathers under way.
  for (const Gathered& each : gathered_) try {
      each.arrival.wait();
    } catch (...) {  // the failure was told where the step met it
    }
}

void PartitionedStore::adopt(Unit& unit, const Seams& seams) {
  const Slicing slicing{unit.size(), world_.size()};
  const auto values =
      std::make_shared<Storage>(device_, unit.name(), Category::parameters, slicing.padded(), precision_.working);
  unit.place(owned_.size(), {values, 0, {1, slicing.padded()}}, seams);
  gathered_.emplace_back();
  Owned owned{&unit, slicing.first(world_.rank()), slicing.slice()};
  if (away_ != nullptr) {
    away_->adopt(unit, owned.size, precision_.working);
    owned.away = away_;
  } else {
    if (gathers_on_visit())
      slices_.push_back(
          Tensor::empty(device_, unit.name() + " slice", Category::parameters, {1, owned.size}, precision_.working));
    else
      values->allocate();
    owned.working = slice_of(unit);
  }
  owned_.push_back(std::move(owned));
}

Tensor PartitionedStore::slice_of(const Unit& unit) const {
  if (gathers_on_visit()) return slices_[unit.index()];
  const Slicing slicing{unit.size(), world_.size()};
  return unit.values().view(slicing.first(world_.rank()), {1, slicing.slice()});
}

void PartitionedStore::begin_publish(Unit& unit) {
  Gathered& gathered = gathered_[unit.index()];
  if (gathers_on_visit() || gathered.state == Gathered::State::on_the_way) return;
  gathered.arrival = world_.all_gather(slice_of(unit).byte_span(), unit.values().byte_span(), "publish " + unit.name());
  gathered.state = Gathered::State::on_the_way;
}

void PartitionedStore::publish() {
  if (gathers_on_visit()) {
    drop_what_ran_ahead();  // gathered before the update
    return;
  }
  for (const Owned& each : owned_) begin_publish(*each.unit);
  const trace::Span span{trace::Kind::wait, "wait for the gathers of new values"};
  for (Gathered& each : gathered_) {
    each.arrival.wait();
    each.state = Gathered::State::released;
  }
}

void PartitionedStore::begin_micro_batch() {
  if (!gathers_on_visit()) return;
  drop_what_ran_ahead();
  // The first record may have gone on into an evaluation: then this is where micro-batches end.
  if (mode_ == Mode::following) order_.resize(position_);
  position_ = 0;
  mode_ = order_.empty() ? Mode::recording : Mode::following;
}

void PartitionedStore::gather(Unit& unit) {
  if (!gathers_on_visit()) return;
  Gathered& gathered = gathered_[unit.index()];
  check(gathered.state != Gathered::State::here, unit.name(), " is gathered twice");
  follow(unit);
  if (gathered.state == Gathered::State::released) start(unit);
  gathered.state = Gathered::State::here;
  run_ahead();
  fetch_ahead();
  const trace::Span span{trace::Kind::wait, "wait for the gather of", unit.name()};
  gathered.arrival.wait();
  evict(unit);
}

void PartitionedStore::release(Unit& unit) {
  if (!gathers_on_visit()) return;
  Gathered& gathered = gathered_[unit.index()];
  if (wanted_at_once(unit)) {
    gathered.state = Gathered::State::on_the_way;
    return;
  }
  unit.values().storage().discard();
  gathered.state = Gathered::State::released;
}

void PartitionedStore::start(Unit& unit) {
  const Doing frame{[&] { return str("gathering ", unit.name()); }};
  unit.values().storage().allocate();
  gathered_[unit.index()].arrival =
      world_.all_gather(source_of(unit), unit.values().byte_span(), "gather " + unit.name());
}

std::span<const std::byte> PartitionedStore::source_of(const Unit& unit) {
  if (away_ == nullptr) return slice_of(unit).byte_span();
  fetch(unit);
  const trace::Span span{trace::Kind::wait, "wait for the slice of", unit.name()};
  return away_->fetched(unit);
}

void PartitionedStore::fetch(const Unit& unit) {
  if (away_ == nullptr || std::exchange(gathered_[unit.index()].fetched, true)) return;
  away_->fetch(unit);
}

void PartitionedStore::evict(const Unit& unit) {
  if (std::exchange(gathered_[unit.index()].fetched, false)) away_->evict(unit);
}

// Keeps to the recorded order, or gives it up until the next micro-batch.
void PartitionedStore::follow(const Unit& unit) {
  if (mode_ == Mode::recording) {
    order_.push_back(unit.index());
  } else if (mode_ == Mode::following) {
    const bool as_recorded = position_ < order_.size() && order_[position_] == unit.index();
    if (as_recorded)
      ++position_;
    else
      mode_ = Mode::idle;  // an evaluation, say: it gathers when it comes
  }
}

// The last visits of a forward are the first of the backward, in reverse: their values stay in between, where a gather
// would run ahead anyway.
bool PartitionedStore::wanted_at_once(const Unit& unit) const {
  if (mode_ != Mode::following) return false;
  for (std::size_t at = position_; at < order_.size(); ++at) {
    if (order_[at] == unit.index()) return at == position_ || may_run_ahead(unit);
    if (gathered_[order_[at]].state == Gathered::State::released) return false;
  }
  return false;
}

bool PartitionedStore::may_run_ahead(const Unit& unit) const {
  return config_.overlap() && unit.size() <= config_.prefetch_bucket_size;
}

// One unit ahead, as far as its size allows: more would hold more memory without hiding more.
void PartitionedStore::run_ahead() {
  if (mode_ != Mode::following || position_ >= order_.size()) return;
  Unit& next = *owned_[order_[position_]].unit;
  Gathered& gathered = gathered_[next.index()];
  if (!may_run_ahead(next) || gathered.state != Gathered::State::released) return;
  start(next);
  gathered.state = Gathered::State::on_the_way;
}

// The slice for the gather after the next: it has the visit that begins now to arrive in.
void PartitionedStore::fetch_ahead() {
  if (away_ == nullptr || mode_ != Mode::following) return;
  for (std::size_t at = position_; at < order_.size(); ++at) {
    const Unit& unit = *owned_[order_[at]].unit;
    if (gathered_[unit.index()].state != Gathered::State::released) continue;
    if (may_run_ahead(unit)) fetch(unit);
    return;
  }
}

void PartitionedStore::drop_what_ran_ahead() {
  for (std::size_t u = 0; u < gathered_.size(); ++u) {
    if (gathered_[u].state == Gathered::State::on_the_way) {
      gathered_[u].arrival.wait();
      owned_[u].unit->values().storage().discard();
      gathered_[u].state = Gathered::State::released;
    }
    evict(*owned_[u].unit);
  }
}

}  // namespace tranche
