// ZeRO stages 1 to 3 (Rajbhandari et al. 2020): rank r owns slice r of every unit's flat layout, which is padded to a
// multiple of ranks x 1,024 elements. Stages 1 and 2 keep all working values, and publish gathers them. Stage 3 keeps
// the slice, on the device or away; a visit gathers, and the next visit's gather runs while this one computes.
#pragma once

#include <vector>

#include "partition/config.h"
#include "runtime/comm/communicator.h"
#include "runtime/nn/seams.h"

namespace tranche {

class PartitionedStore : public ParameterStore {
 public:
  // config.stage: 1..3. away: where slices of stage 3 lie; none: on the device. All must outlive the store.
  PartitionedStore(const ZeroConfig& config, Precision precision, Communicator& world, Device& device,
                   SlicePlacement* away = nullptr);
  ~PartitionedStore() override;

  void adopt(Unit& unit, const Seams& seams) override;
  void begin_micro_batch() override;
  void gather(Unit& unit) override;
  void release(Unit& unit) override;
  const std::vector<Owned>& owned() const override { return owned_; }
  void begin_publish(Unit& unit) override;
  void publish() override;

 private:
  // Where a unit's values are; at stages 1 and 2 on the way between begin_publish and publish.
  struct Gathered {
    enum class State { released, on_the_way, here } state = State::released;
    Event arrival;
    bool fetched = false;  // its slice is here, or on its way, from where it lies
  };

  bool gathers_on_visit() const { return config_.stage == 3; }
  Tensor slice_of(const Unit& unit) const;  // of the working copy
  std::span<const std::byte> source_of(const Unit& unit);
  void fetch(const Unit& unit);
  void evict(const Unit& unit);
  void start(Unit& unit);
  void follow(const Unit& unit);
  bool wanted_at_once(const Unit& unit) const;
  bool may_run_ahead(const Unit& unit) const;
  void run_ahead();
  void fetch_ahead();
  void drop_what_ran_ahead();

  ZeroConfig config_;
  Precision precision_;
  Communicator& world_;
  Device& device_;
  SlicePlacement* away_;
  std::vector<Owned> owned_;
  std::vector<Tensor> slices_;  // stage 3: kept in place of the values, unless away
  std::vector<Gathered> gathered_;

  // The order in which the first micro-batch gathered. Every rank visits alike, so what one predicts from it all
  // predict, and the order of collectives stays the same on all.
  std::vector<std::size_t> order_;
  std::size_t position_ = 0;  // in it, of the gather to come
  enum class Mode { idle, recording, following } mode_ = Mode::idle;
};

}  // namespace tranche
