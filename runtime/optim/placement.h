// Where float32 masters and an optimizer's moments live, and where they are updated. The plain answer: beside the
// working parameters, all at once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/nn/seams.h"
#include "runtime/ops/optimizer.h"

namespace tranche {

// A run of one unit's owned elements with all their state, at hand while an update passes.
struct StatePiece {
  std::string_view name{};        // the unit's
  std::size_t unit = 0;           // its index
  std::size_t first = 0;          // of the owned slice
  Tensor master;                  // (1, n) float32
  std::vector<Tensor> moments{};  // (1, n) float32 each, in the order of add_moment
  Tensor gradient{};              // (1, n) float32
  Tensor rounded{};               // (1, n), half: receives the rounded master; empty where there is nothing to round
  ops::PassedSums sums{};         // where an update leaves sums of master and moments, if anywhere
};

class StateSums;

// Rounds the piece's master to its copy, where it has one.
void round(const StatePiece& piece);

// One rank calls from one thread, in the order: adopt, add_moment..., then the rest.
class OptimizerPlacement {
 public:
  virtual ~OptimizerPlacement() = default;

  // Makes masters of what this rank owns, with their initial values, and brings them to the working copies. owned: all
  // of a store's, which must outlive this.
  virtual void adopt(const std::vector<Owned>& owned, std::uint64_t seed) = 0;
  // One more number for each owned element, zero at first.
  virtual void add_moment(const std::string& name) = 0;

  using Work = std::function<void(const StatePiece&)>;
  // Runs `work` once over every owned element, a piece at a time, in a fixed order; what it writes to masters and
  // moments stays, and the working copies follow. Where the piece asks for sums, it makes those of the first `summed`
  // kinds of state. gradients: indexed as owned. Waits for what `hold` was given.
  void update(const Shards& gradients, std::size_t summed, const Work& work);
  // From here on every update does this with each piece before its own work: to gradients, and to moments that are not
  // the optimizer's.
  void precede_with(Work work) { preceding_.push_back(std::move(work)); }
  // And this behind its own work.
  void follow_with(Work work) { followers_.push_back(std::move(work)); }
  // Whom an update tells of each unit, once: its working copy is updated. On every rank in the order of units.
  using Updated = std::function<void(Unit&)>;
  void when_updated(Updated tell) { updated_ = std::move(tell); }
  // Until this event somebody borrows state beside the steps, from another thread: the next update waits for it.
  void hold(Event read) { read_ = std::move(read); }

  // For checkpoints. Kinds: "parameters" (masters), then the moments' names.
  const std::vector<std::string>& kinds() const { return kinds_; }
  // Whether all state is in memory, where borrowing costs nothing.
  virtual bool in_memory() const { return true; }
  // This rank's elements of a unit, (1, owned) float32, in memory while the tensor lives.
  Tensor borrow(std::size_t kind, std::size_t unit);
  // What was written to a borrowed tensor is kept.
  void give_back(std::size_t kind, std::size_t unit, std::span<const float> borrowed);
  // Brings masters to the working copies, after they were written from outside.
  virtual void round() = 0;

  // From here on each update sums the state that it finds and leaves, and what it or a borrower finds is compared: both
  // throw Exit 13 (corrupted), naming the tensors, if it has changed by itself. sums must outlive this; after adopt.
  void compare_with(StateSums& sums) { sums_ = &sums; }

  // Where sums of gradients lie for these updates; lives as long as this.
  virtual SumPlacement& sums() = 0;

 protected:
  virtual void do_update(const Shards& gradients, const Work& work) = 0;
  virtual Tensor do_borrow(std::size_t kind, std::size_t unit) = 0;
  virtual void do_give_back(std::size_t kind, std::size_t unit, std::span<const float> borrowed) = 0;

  std::vector<std::string> kinds_{"parameters"};
  Updated updated_ = [](Unit&) {};

 private:
  Event read_;
  std::vector<Work> preceding_, followers_;
  StateSums* sums_ = nullptr;
};

// Masters and moments of some units as tensors, each on the device that its owner names.
class StateTensors {
 public:
  // With its initial values; `separate`: beside the working copy, else it is that copy.
  void add_master(const Owned& owned, Device& home, bool separate, std::uint64_t seed);
  void add_moment(const std::string& name);

  const Tensor& master(std::size_t unit) const { return kinds_[0][unit]; }
  // A kind of a unit's state where the host can address it, and back from there.
  Tensor borrow(std::size_t kind, std::size_t unit) const { return kinds_[kind][unit].on_host(); }
  void give_back(std::size_t kind, std::size_t unit, std::span<const float> borrowed) const {
    kinds_[kind][unit].assign(std::as_bytes(borrowed));
  }
  // Elements first .. first + count of a unit's state, without a rounded copy; gradient: may be none.
  StatePiece piece(std::size_t unit, std::size_t first, std::size_t count, const Tensor& gradient) const;

 private:
  std::vector<std::vector<Tensor>> kinds_{1};  // [kind][unit]
  std::vector<const Unit*> units_;
};

class ResidentPlacement : public OptimizerPlacement {
 public:
  explicit ResidentPlacement(Precision precision) : precision_(precision) {}

  void adopt(const std::vector<Owned>& owned, std::uint64_t seed) override;
  void add_moment(const std::string& name) override;
  void round() override;
  SumPlacement& sums() override { return sums_; }

 protected:
  void do_update(const Shards& gradients, const Work& work) override;
  Tensor do_borrow(std::size_t kind, std::size_t unit) override { return state_.borrow(kind, unit); }
  void do_give_back(std::size_t kind, std::size_t unit, std::span<const float> borrowed) override {
    state_.give_back(kind, unit, borrowed);
  }

 private:
  Precision precision_;
  SumPlacement sums_;
  const std::vector<Owned>* owned_ = nullptr;
  StateTensors state_;
};

}  // namespace tranche
