#include "runtime/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "runtime/base/error.h"

namespace tranche {
namespace {

double number(std::uint64_t count) { return static_cast<double>(count); }

// DeepSpeed's last_batch_iteration when update number `updates` runs.
std::uint64_t iteration_of(std::uint64_t updates) { return updates == 0 ? 0 : updates - 1; }

// The fraction of the warmup that is done, in [0, 1].
double progress(std::uint64_t iteration, std::uint64_t steps, WarmupType type) {
  if (iteration >= steps) return 1;
  return type == WarmupType::linear ? number(iteration) / number(steps)
                                    : std::log(number(iteration + 1)) / std::log(number(steps));
}

std::uint64_t at_least_two(std::uint64_t steps) { return std::max<std::uint64_t>(steps, 2); }

}  // namespace

Schedule constant(double rate) {
  return [rate](std::uint64_t) { return Rates{rate}; };
}

Schedule warmup(const Warmup& shape) {
  return [shape](std::uint64_t updates) {
    const double done = progress(iteration_of(updates), at_least_two(shape.steps), shape.type);
    return Rates{shape.minimum + (shape.maximum - shape.minimum) * done};
  };
}

Schedule warmup_decay(const Warmup& shape, std::uint64_t total) {
  return [shape, total](std::uint64_t updates) {
    const std::uint64_t iteration = iteration_of(updates), steps = at_least_two(shape.steps);
    const double left = number(total) - number(iteration), decay = std::max(1.0, number(total) - number(steps));
    const double factor = iteration < steps ? progress(iteration, steps, shape.type) : std::max(0.0, left / decay);
    return Rates{shape.minimum + (shape.maximum - shape.minimum) * factor};
  };
}

Schedule warmup_cosine(const WarmupCosine& shape) {
  ensure(Exit::job_file, shape.total > at_least_two(shape.warmup_steps),
         "scheduler WarmupCosineLR: total_num_steps is ", shape.total, ", which must be more than warmup_num_steps, ",
         at_least_two(shape.warmup_steps));
  return [shape](std::uint64_t updates) {
    const std::uint64_t iteration = iteration_of(updates), steps = at_least_two(shape.warmup_steps);
    const double low = shape.warmup_minimum_ratio, floor = shape.cosine_minimum_ratio;
    if (iteration < steps) return Rates{shape.rate * (low + (1 - low) * progress(iteration, steps, shape.type))};
    const double done = number(iteration - steps + 1) / number(shape.total - steps);
    const double cosine = (1 + std::cos(std::numbers::pi * done)) / 2;
    return Rates{shape.rate * std::max(0.0, floor + (1 - floor) * cosine)};
  };
}

Schedule one_cycle(const OneCycle& shape) {
  ensure(Exit::job_file, shape.first_steps + shape.second_steps > 0, "scheduler OneCycle: cycle_first_step_size and ",
         "cycle_second_step_size are both 0; the cycle needs a length");
  return [shape](std::uint64_t updates) {
    const std::uint64_t total = shape.first_steps + shape.second_steps;
    constexpr double beta2 = 0.99;
    Rates rates;
    double momentum;
    if (updates <= total) {
      const std::uint64_t within = updates % total;
      const double height = within <= shape.first_steps && shape.first_steps > 0
                                ? number(within) / number(shape.first_steps)
                                : number(total - within) / number(shape.second_steps);
      rates.rate = shape.minimum + (shape.maximum - shape.minimum) * height;
      momentum = shape.maximum_momentum - (shape.maximum_momentum - shape.minimum_momentum) * height;
      if (updates == 0) momentum = shape.minimum_momentum;  // what DeepSpeed sets before its first step
    } else {
      const double interval = shape.decay_steps == 0 ? 0 : number(updates - total) / number(shape.decay_steps);
      rates.rate = shape.minimum / (1 + shape.decay_rate * interval);
      momentum = shape.maximum_momentum * (1 + shape.decay_momentum_rate * interval);
    }
    if (shape.cycles_momentum) rates.betas = {momentum, beta2};
    return rates;
  };
}

Schedule range_test(const RangeTest& shape) {
  ensure(Exit::job_file, shape.steps > 0, "scheduler LRRangeTest: lr_range_test_step_size must be positive");
  return [shape](std::uint64_t updates) {
    const double interval = number(updates) / number(shape.steps);
    return Rates{shape.minimum * (1 + shape.growth * (shape.staircase ? std::floor(interval) : interval))};
  };
}

}  // namespace tranche
