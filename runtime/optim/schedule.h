// Learning-rate schedules: pure functions of the number of updates done, so a checkpoint needs that number alone.
// Names, parameters and values are DeepSpeed's (its lr_schedules module), whose scheduler is stepped after each update:
// its warmup schedules give update 0 and update 1 the same rate, the one of iteration 0.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace tranche {

struct Rates {
  double rate = 0;
  struct Betas {
    double beta1, beta2;
  };
  std::optional<Betas> betas{};  // OneCycle may turn Adam's momentum, and then fixes both
};

// updates: how many were done before the one that uses the result. A skipped step is not an update.
using Schedule = std::function<Rates(std::uint64_t updates)>;

Schedule constant(double rate);

enum class WarmupType { logarithmic, linear };

// From minimum to maximum over `steps` iterations (at least 2), then maximum.
struct Warmup {
  double minimum = 0, maximum = 1e-3;
  std::uint64_t steps = 1000;
  WarmupType type = WarmupType::logarithmic;
};
Schedule warmup(const Warmup& shape);
// After the warmup linearly down to 0 at iteration `total`.
Schedule warmup_decay(const Warmup& shape, std::uint64_t total);

// Multiples of `rate`: from minimum_ratio to 1 over the warmup, then half a cosine down to cosine_minimum_ratio.
struct WarmupCosine {
  double rate = 1e-3, warmup_minimum_ratio = 0, cosine_minimum_ratio = 1e-4;
  std::uint64_t warmup_steps = 1000, total = 0;
  WarmupType type = WarmupType::logarithmic;
};
Schedule warmup_cosine(const WarmupCosine& shape);

// Smith 2018: up for first_steps, down for second_steps, then minimum / (1 + decay_rate * steps since / decay_steps).
struct OneCycle {
  double minimum = 0, maximum = 0, decay_rate = 0;
  std::uint64_t first_steps = 2000, second_steps = 2000, decay_steps = 0;  // decay_steps 0: no decay
  bool cycles_momentum = true;  // beta1 moves against the rate, between these; beta2 is 0.99
  double minimum_momentum = 0.85, maximum_momentum = 0.99, decay_momentum_rate = 0;
};
Schedule one_cycle(const OneCycle& shape);

// Smith 2015: minimum * (1 + growth * interval), interval = updates / steps, or its floor with a staircase.
struct RangeTest {
  double minimum = 1e-3, growth = 1;
  std::uint64_t steps = 2000;
  bool staircase = false;
};
Schedule range_test(const RangeTest& shape);

}  // namespace tranche
