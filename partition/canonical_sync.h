// Sums gradients at their owner in the order of micro-batches: ((g0 + g1) + g2) + ... in float32, for every number of
// ranks and at every stage (docs/numerics.md).
#pragma once

#include <vector>

#include "partition/config.h"
#include "runtime/comm/communicator.h"
#include "runtime/nn/seams.h"

namespace tranche {

// A round is one block of micro-batches from every rank. Ranks exchange slices, which moves the bytes of a
// reduce-scatter, and the owner adds what they bring in rank order, which is micro-batch order (runtime/train/deal.h).
class CanonicalSync : public GradientSync {
 public:
  // reduction_block: micro-batches that a rank sums by itself before it exchanges the sum; more than 1 needs a whole
  // local sum, which stages 2 and 3 exist to avoid: Exit::job_file there. place and world must outlive the object.
  CanonicalSync(const ZeroConfig& config, std::size_t reduction_block, SumPlacement& place, Communicator& world);
  ~CanonicalSync() override;

  void reduce(Unit& unit, Tensor gradient) override;
  void end_micro_batch() override;
  Shards finish() override;

 protected:
  // Row r of the gradient to its owner, rank r; `add` gets what comes.
  virtual Event send(const Tensor& gradient, Communicator::Consume add, std::string label) {
    return world_.exchange(gradient.byte_span(), std::move(add), std::move(label));
  }
  Communicator& world() { return world_; }

 private:
  void add_at_owners(const Unit& unit, Tensor gradient);
  void wait();

  ZeroConfig config_;
  std::size_t reduction_block_, in_block_ = 0;
  SumPlacement& place_;
  Communicator& world_;
  std::vector<Unit*> units_;  // by index, as they come
  Shards sums_;               // of the owned slices
  Shards block_sums_;         // whole, of the block under way
  Event done_;                // of the exchange under way, which reads in_flight_
  Tensor in_flight_;
};

}  // namespace tranche
