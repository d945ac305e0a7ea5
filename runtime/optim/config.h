// What a job file says about optimizer and schedule, with DeepSpeed's names and defaults, and the making of them.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>

#include "runtime/optim/optimizer.h"
#include "runtime/optim/schedule.h"

namespace tranche {

class Section;

struct OptimizerConfig {
  enum class Type { adamw, adam, sgd };

  Type type = Type::adamw;
  double rate = 1e-3, weight_decay = 0;
  std::array<double, 2> betas{0.9, 0.999};  // Adam, AdamW, as the two below
  double epsilon = 1e-8;
  bool bias_correction = true;
  bool decoupled = true;               // Adam: DeepSpeed's adam_w_mode
  double momentum = 0, dampening = 0;  // SGD, as the one below
  bool nesterov = false;

  void declare(Section& optimizer);
};

struct SchedulerConfig {
  enum class Type { none, range_test, one_cycle, warmup, warmup_decay, warmup_cosine };

  Type type = Type::none;
  RangeTest range_test{};
  OneCycle one_cycle{.minimum_momentum = 0.8, .maximum_momentum = 0.9};
  std::optional<std::size_t> one_cycle_second_steps{};  // absent: as the first
  Warmup warmup{};                         // of WarmupLR and WarmupDecayLR; type and steps also of WarmupCosineLR
  std::optional<double> warmup_maximum{};  // absent: the optimizer's rate
  WarmupCosine cosine{};
  std::optional<std::size_t> total{};  // updates until the end of WarmupDecayLR and WarmupCosineLR

  bool has_total() const { return type == Type::warmup_decay || type == Type::warmup_cosine; }
  void declare(Section& scheduler);
};

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, OptimizerPlacement& placement);

// config.total must be set where the type has one. Throws Exit::job_file for lengths that do not fit together.
Schedule make_schedule(const SchedulerConfig& config, const OptimizerConfig& optimizer);

}  // namespace tranche
