// Pruning of single weights while training: a mask for each owned element, made of magnitudes or of scores of movement
// by a schedule. Pruned masters become zero behind every update, so the working copies that are published have zeros,
// and no layer knows.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "compress/pruning_config.h"
#include "runtime/comm/communicator.h"
#include "runtime/ops/pruning.h"
#include "runtime/optim/placement.h"
#include "runtime/optim/schedule.h"
#include "runtime/train/seams.h"

namespace tranche::compress {

// The mask is a moment of the optimizer's placement, "pruned", of 0 and 1: it is divided, offloaded, saved, counted and
// part of the digest as the other moments are. What is pruned stays so.
//
// Scores, where the method has them, are one more, "movement_scores", and change before every update by its learning
// rate, as weights and gradients are then; penalties change gradients there, behind clipping and outside the norm.
//
// A threshold is the magnitude, or score, of the last element that goes: its bits, digit by digit, by counts that are
// summed over the ranks as integers. Of equal magnitudes those of the lowest logical index go. So a mask is the same on
// any number of ranks, at every stage, on every tier.
class Pruning : public OwnerState {
 public:
  // Does nothing where pruning is off. The optimizer has its moments already. holders: the ranks that together hold one
  // copy of the state; schedule: the optimizer's. All must outlive it.
  Pruning(const PruningConfig& config, OptimizerPlacement& placement, const std::vector<Owned>& owned,
          Communicator& holders, Schedule schedule);

  void begin_step(std::uint64_t updates) override;
  bool after_update(std::uint64_t updates) override;
  NamedNumbers state() const override;
  void restore(const NamedNumbers& numbers) override;

 private:
  // This rank's part of one pruned tensor, and what the tensors are compared with.
  struct Part {
    std::size_t unit, first, count;  // in the owned slice; count 0: none
    std::size_t pool;
    const PruningGroup* group;
  };
  // Tensors that share a threshold.
  struct Pool {
    double dense_ratio;
    std::size_t elements = 0;
    std::uint64_t left = 0;       // how many go whose key is, or begins with, the threshold
    std::uint32_t threshold = 0;  // its digits so far
  };
  // A unit's state at hand, and its parts first .. last.
  struct Held {
    std::size_t unit, first, last;
    Tensor masters, pruned, ranked;  // ranked: what goes by how small it is
    static Tensor of(const Tensor& whole, const Part& part) { return whole.view(part.first, {1, part.count}); }
  };

  // What precedes and follows an update of a piece.
  void learn(const StatePiece& piece) const;
  void zero(const StatePiece& piece) const;
  void make_masks(double progress);
  std::vector<std::uint64_t> ties_at_thresholds(double progress);
  std::vector<std::uint64_t> count_digit(unsigned shift);
  void choose_digit(const std::vector<double>& all);
  std::vector<std::uint64_t> share_ties(const std::vector<double>& all) const;
  void mark(double progress, const std::vector<std::uint64_t>& ties);
  // For each unit of which this rank owns something that may be pruned.
  void over_units(const std::function<void(const Held&)>& work);

  const PruningConfig& config_;
  OptimizerPlacement& placement_;
  Communicator& holders_;
  Schedule schedule_;
  float rate_ = 0;                     // of the update that comes
  std::size_t kind_ = 0, ranked_ = 0;  // of the mask, and of what it is made of
  ops::KeyOrder order_ = ops::KeyOrder::magnitude;
  double progress_ = 0;      // of the mask that is held
  std::vector<Part> parts_;  // in logical order
  std::vector<Pool> pools_;
};

}  // namespace tranche::compress
