// The step: forward, backward, reduce, unscale, norm, clip, update, publish.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/checkpoint/history.h"
#include "runtime/comm/communicator.h"
#include "runtime/models/model.h"
#include "runtime/nn/seams.h"
#include "runtime/optim/optimizer.h"
#include "runtime/optim/schedule.h"
#include "runtime/train/deal.h"
#include "runtime/train/seams.h"

namespace tranche {

struct StepReport {
  double loss = 0;      // mean over the step's micro-batches, of all ranks
  GradientNorm norm{};  // before clipping
  double learning_rate = 0;
  float loss_scale = 1;  // that this step used
  bool skipped() const { return !norm.finite(); }
};

class Trainer {
 public:
  struct Config {
    Deal deal;
    double gradient_clipping = 0;  // 0: off
  };

  // Everything must outlive the trainer.
  Trainer(const Config& config, Model& model, const Seams& seams, LossScaler& scaler, const Objective& objective,
          Optimizer& optimizer, OwnerState& state, Schedule schedule, Communicator& world);

  // Collective. batch: deal.of_rank(world.rank()).
  StepReport step(const Batch& batch);

  std::uint64_t steps() const { return step_; }       // taken or skipped
  std::uint64_t updates() const { return updates_; }  // taken
  const checkpoint::History& history() const { return history_; }
  void restore(std::uint64_t steps, std::uint64_t updates, const std::string& history);

 private:
  double accumulate(const MicroBatch& micro);
  double mean_over_ranks(const std::vector<double>& losses) const;

  Config config_;
  Model& model_;
  ParameterStore& parameters_;
  GradientSync& gradients_;
  LossScaler& scaler_;
  const Objective& objective_;
  Optimizer& optimizer_;
  OwnerState& state_;
  Schedule schedule_;
  Communicator& world_;
  std::uint64_t step_ = 0, updates_ = 0;
  checkpoint::History history_;
};

}  // namespace tranche
