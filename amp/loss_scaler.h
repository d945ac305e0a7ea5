// Loss scaling for float16: gradients that would vanish below 2^-24 are scaled up before backward and down after it.
// Micikevicius et al. 2018. Every decision depends on the global norm alone, so all ranks decide alike.
#pragma once

#include <cstdint>

#include "runtime/train/seams.h"

namespace tranche {

// What all scalers share: who holds the gradients, and how overflows are named.
class ScalerOf : public LossScaler {
 public:
  // replica: the ranks that together hold one copy of the gradients.
  ScalerOf(const std::vector<Owned>& owned, Communicator& replica, float scale)
      : owned_(owned), replica_(replica), scale_(scale) {}

  float scale() const override { return scale_; }
  GradientNorm unscale(const Shards& gradients) override;
  NamedNumbers state() const override { return {{"scale", scale_}}; }
  void restore(const NamedNumbers& state) override { scale_ = static_cast<float>(number_of(state, "scale")); }

 protected:
  // True when an overflow could not be answered with a lower scale: it is reported, naming the first bad tensor.
  virtual bool at_floor() const = 0;
  void set_scale(float scale) { scale_ = scale; }

 private:
  const std::vector<Owned>& owned_;
  Communicator& replica_;
  float scale_;
};

// Never changes. An overflow only skips the step, as in DeepSpeed.
class StaticScaler : public ScalerOf {
 public:
  using ScalerOf::ScalerOf;
  void adapt(const GradientNorm&) override {}

 protected:
  bool at_floor() const override { return false; }
};

// DeepSpeed's: doubles on the clean step after a window of clean ones; halves on an overflow once `hysteresis`
// overflows are used up, never below the floor. Hysteresis is refilled at growth only, or by every clean step if
// `consecutive`.
class DynamicScaler : public ScalerOf {
 public:
  struct Options {
    float initial = 65536, floor = 1;
    std::int64_t window = 1000, hysteresis = 2;
    bool consecutive_hysteresis = false;
  };
  DynamicScaler(const std::vector<Owned>& owned, Communicator& replica, const Options& options);

  void adapt(const GradientNorm& norm) override;
  NamedNumbers state() const override;
  void restore(const NamedNumbers& state) override;

 protected:
  bool at_floor() const override { return hysteresis_ == 1 && scale() <= options_.floor; }

 private:
  Options options_;
  std::int64_t iteration_ = 0, last_overflow_ = -1, hysteresis_;
};

// torch.cuda.amp.GradScaler's: multiplies by `growth` after `interval` clean steps in a row, by `backoff` on every
// overflow; no floor.
class TorchScaler : public ScalerOf {
 public:
  struct Options {
    float initial = 65536, growth = 2, backoff = 0.5f;
    std::int64_t interval = 2000;
  };
  TorchScaler(const std::vector<Owned>& owned, Communicator& replica, const Options& options);

  void adapt(const GradientNorm& norm) override;
  NamedNumbers state() const override;
  void restore(const NamedNumbers& state) override;

 protected:
  bool at_floor() const override { return false; }

 private:
  Options options_;
  std::int64_t growth_tracker_ = 0;
};

}  // namespace tranche
