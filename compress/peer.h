// Two students that teach each other while both train (deep mutual learning: Zhang, Xiang, Hospedales, Lu 2018): one
// composite model with one optimizer.
#pragma once

#include <memory>

#include "runtime/ops/distillation.h"
#include "runtime/train/seams.h"

namespace tranche::compress {

// The loss of the job's model, taught by the peer's logits, and of the peer, taught by the model's, of one size. Either
// is cross-entropy and divergence (runtime/ops/distillation.h), in which the other's logits are a constant. The peer
// computes after the model's forward, on the same tokens, with dropout of its own.
class MutualLearning : public Objective {
 public:
  // peer: of the model's vocabulary; its units are trained with the model's. It outlives this.
  MutualLearning(const ops::DistillationTerms& terms, Model& peer) : terms_(terms), peer_(peer) {}
  Tensor loss(const Tensor& logits, const Taps& taps, const MicroBatch& micro) const override;

 private:
  ops::DistillationTerms terms_;
  Model& peer_;
};

}  // namespace tranche::compress
