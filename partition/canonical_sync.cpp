#include "partition/canonical_sync.h"

#include "partition/shard_plan.h"
#include "runtime/base/trace.h"

namespace tranche {

CanonicalSync::CanonicalSync(const ZeroConfig& config, std::size_t reduction_block, SumPlacement& place,
                             Communicator& world)
    : config_(config), reduction_block_(reduction_block), place_(place), world_(world) {
  ensure(Exit::job_file, reduction_block == 1 || config.stage <= 1, "reduction_block is ", reduction_block,
         ", which needs a whole sum of the gradients on every rank; zero_optimization.stage ", config.stage,
         " divides it: use stage 0 or 1, or reduction_block 1");
}

CanonicalSync::~CanonicalSync() {
  try {
    wait();        // peers may be reading gradients that are about to go
  } catch (...) {  // the failure was told where the step met it
  }
}

void CanonicalSync::reduce(Unit& unit, Tensor gradient) {
  const Doing frame{[&] { return str("reducing the gradient of ", unit.name()); }};
  if (reduction_block_ == 1)
    add_at_owners(unit, std::move(gradient));
  else
    add_to_sum(block_sums_, unit, gradient);
  if (units_.size() <= unit.index()) units_.resize(unit.index() + 1);
  units_[unit.index()] = &unit;
}

void CanonicalSync::end_micro_batch() {
  if (reduction_block_ == 1 || ++in_block_ < reduction_block_) return;
  in_block_ = 0;
  for (std::size_t u = 0; u < block_sums_.size(); ++u) add_at_owners(*units_[u], std::exchange(block_sums_[u], {}));
  wait();  // a float32 sum is too large to lie there through the next block
}

void CanonicalSync::add_at_owners(const Unit& unit, Tensor gradient) {
  const Tensor sum =
      sum_of(sums_, unit, place_.home(unit, gradient.device()), Slicing{unit.size(), world_.size()}.slice());
  const auto add = [this, sum, dtype = gradient.dtype()](std::size_t, std::span<const std::byte> row) {
    place_.add(row, dtype, sum);
  };
  wait();  // one receive buffer at a time, and one gradient that waits to be added
  done_ = send(gradient, add, "reduce " + unit.name());
  in_flight_ = std::move(gradient);
  if (!config_.overlap()) wait();
}

void CanonicalSync::wait() {
  if (!in_flight_) return;
  const trace::Span span{trace::Kind::wait, "wait for the reduction of", in_flight_.name()};
  done_.wait();
  in_flight_ = {};
}

Shards CanonicalSync::finish() {
  wait();
  check(in_block_ == 0, "the step ended within a block of ", reduction_block_, " micro-batches");
  if (config_.stage == 0)
    for (Tensor& sum : sums_) {  // unit by unit, so that only one is there twice
      const Tensor whole = Tensor::empty(sum.device(), "whole " + sum.name(), Category::gradients,
                                         {1, sum.size() * world_.size()}, DType::float32);
      world_.all_gather(sum.byte_span(), whole.byte_span(), "gather " + sum.name()).wait();
      sum = whole;
    }
  return std::exchange(sums_, {});
}

}  // namespace tranche
