// A student that teaches itself: its own last logits teach what its head makes of earlier blocks (self-distillation to
// shallower exits: Zhang, Song, Gao, Chen, Bao, Ma 2019).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/ops/distillation.h"
#include "runtime/train/seams.h"

namespace tranche {

class Section;

namespace compress {

// What a job file says in "distillation.exits".
struct ExitsConfig {
  std::vector<std::size_t> blocks{};  // behind which an exit is; none: there are no exits
  double weight = 1;                  // of the mean over exits

  void declare(Section& exits);
  // Reads the blocks, once everything is loaded; `place` begins messages. Throws Exit::job_file for what are none, and
  // for blocks that a student of `layers` has not or whose exit is the model's own.
  void complete(const std::string& place, std::size_t layers);

 private:
  Json blocks_ = Json::array();
};

// What `inner` says, and weight times the mean over exits of cross-entropy and divergence (runtime/ops/distillation.h)
// from the model's own last logits, which are a constant to it. An exit is the model's head, which has no parameters of
// its own for it, behind one of its blocks.
class Exits : public Objective {
 public:
  // inner, and the model, outlive it.
  Exits(const ExitsConfig& config, const ops::DistillationTerms& terms, const Objective& inner, Model& model)
      : config_(config), terms_(terms), inner_(inner), model_(model) {}
  Taps taps() const override;
  Tensor loss(const Tensor& logits, const Taps& taps, const MicroBatch& micro) const override;

 private:
  const ExitsConfig& config_;
  ops::DistillationTerms terms_;
  const Objective& inner_;
  Model& model_;
};

}  // namespace compress
}  // namespace tranche
