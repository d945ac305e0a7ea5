#include "runtime/optim/config.h"

#include "runtime/base/settings.h"

namespace tranche {

void OptimizerConfig::declare(Section& optimizer) {
  optimizer.choice<Type>("type", type, {{"AdamW", Type::adamw}, {"Adam", Type::adam}, {"SGD", Type::sgd}})
      .required()
      .about("Which update rule: AdamW (Loshchilov, Hutter 2019), Adam (Kingma, Ba 2015), or SGD with momentum.");
  optimizer.no_effect("legacy_fusion", false, "there is one implementation of each optimizer");

  const auto declare_adam = [this](Section& params) {
    params.key("lr", rate).at_least(0.0).about("Learning rate; a scheduler varies or replaces it.");
    params.key("betas", betas).from_to_below(0, 1).about("Decay of the first and second moment.");
    params.key("eps", epsilon).above(0).about("Added to the root of the second moment.");
    params.key("weight_decay", weight_decay).at_least(0.0).about("Applied to every parameter.");
    params.key("bias_correction", bias_correction).about("Whether the moments are corrected for their start at zero.");
    params.not_yet("max_grad_norm", 0, "clipping by the optimizer; gradient_clipping does it");
    params.not_yet("amsgrad", false, "the maximum of second moments");
    for (const char* key : {"fused", "foreach", "capturable", "torch_adam", "fp32_optimizer_states"})
      params.no_effect(key, nullptr, "there is one implementation, whose state is float32");
  };
  Section& adamw = optimizer.section(
      "params", "AdamW's.", [this] { return type == Type::adamw; }, "`type` is \"AdamW\"");
  declare_adam(adamw);
  adamw.no_effect("adam_w_mode", true, "AdamW always decouples its weight decay");

  Section& adam = optimizer.section(
      "params", "Adam's.", [this] { return type == Type::adam; }, "`type` is \"Adam\"");
  declare_adam(adam);
  adam.key("adam_w_mode", decoupled)
      .about(
          "Weight decay apart from the gradient, as AdamW does it (DeepSpeed's default also for Adam); false: added to "
          "the gradient.");

  Section& sgd = optimizer.section(
      "params", "SGD's, as torch.optim.SGD.", [this] { return type == Type::sgd; }, "`type` is \"SGD\"");
  sgd.key("lr", rate).at_least(0.0).about("Learning rate; a scheduler varies or replaces it.");
  sgd.key("momentum", momentum).at_least(0.0).about("How much of the last direction is kept.");
  sgd.key("dampening", dampening).between(0, 1).about("How much of the gradient the momentum leaves out.");
  sgd.key("weight_decay", weight_decay).at_least(0.0).about("Added to the gradient, for every parameter.");
  sgd.key("nesterov", nesterov)
      .when([this] { return !nesterov || (momentum > 0 && dampening == 0); },
            "`momentum` is above 0 and `dampening` is 0")
      .about("Nesterov's momentum.");
}

void SchedulerConfig::declare(Section& scheduler) {
  scheduler
      .choice<Type>("type", type,
                    {{"LRRangeTest", Type::range_test},
                     {"OneCycle", Type::one_cycle},
                     {"WarmupLR", Type::warmup},
                     {"WarmupDecayLR", Type::warmup_decay},
                     {"WarmupCosineLR", Type::warmup_cosine}})
      .about(
          "How the learning rate goes; none: it is constant. Iterations count updates: a step skipped by the loss "
          "scaler is "
          "none.");
  const auto params = [&](Type wanted, const std::string& name, std::string about) -> Section& {
    Section& section = scheduler.section(
        "params", std::move(about), [this, wanted] { return type == wanted; }, str("`type` is \"", name, "\""));
    section.not_yet("last_batch_iteration", -1,
                    "a schedule that starts in its middle; a resumed run goes on by itself");
    return section;
  };
  const auto warmup_keys = [](Section& section, std::size_t& steps, WarmupType& shape) {
    section.key("warmup_num_steps", steps)
        .about("Iterations from the lowest to the highest rate; at least 2 are taken.");
    section.choice<WarmupType>("warmup_type", shape, {{"log", WarmupType::logarithmic}, {"linear", WarmupType::linear}})
        .about("The warmup's shape.");
  };
  const auto rate_keys = [this](Section& section) {
    section.key("warmup_min_lr", warmup.minimum).at_least(0.0).about("The rate at the start.");
    section.key("warmup_max_lr", warmup_maximum)
        .at_least(0.0)
        .about("The rate after the warmup; none: the optimizer's `lr`.");
  };
  const auto total_key = [this](Section& section) {
    section.key("total_num_steps", total)
        .at_least(1)
        .about("Iterations until the lowest rate; none: the job's `steps`.");
  };

  Section& range = params(Type::range_test, "LRRangeTest",
                          "A rate that rises steadily, to find the range in which training works (Smith 2015).");
  range.key("lr_range_test_min_lr", range_test.minimum).at_least(0.0).about("The rate at the start.");
  range.key("lr_range_test_step_size", range_test.steps).at_least(1).about("Iterations of one interval.");
  range.key("lr_range_test_step_rate", range_test.growth)
      .at_least(0.0)
      .about("What an interval adds, as a multiple of the first rate.");
  range.key("lr_range_test_staircase", range_test.staircase)
      .about("Whether the rate rises once an interval instead of with every iteration.");

  Section& cycle = params(Type::one_cycle, "OneCycle", "Up, down, then slowly towards zero (Smith 2018).");
  cycle.key("cycle_min_lr", one_cycle.minimum).required().at_least(0.0).about("The rate at both ends of the cycle.");
  cycle.key("cycle_max_lr", one_cycle.maximum).required().at_least(0.0).about("The rate in between.");
  cycle.key("decay_lr_rate", one_cycle.decay_rate).at_least(0.0).about("How fast the rate falls after the cycle.");
  cycle.key("cycle_first_step_size", one_cycle.first_steps).about("Iterations upwards.");
  cycle.key("cycle_second_step_size", one_cycle_second_steps).about("Iterations downwards; none: as upwards.");
  cycle.key("decay_step_size", one_cycle.decay_steps)
      .about("Iterations of one decay interval after the cycle; 0: no decay.");
  cycle.key("cycle_momentum", one_cycle.cycles_momentum)
      .about("Whether Adam's first beta moves against the rate; the second is then 0.99.");
  cycle.key("cycle_min_mom", one_cycle.minimum_momentum)
      .from_to_below(0, 1)
      .about("The first beta at the highest rate.");
  cycle.key("cycle_max_mom", one_cycle.maximum_momentum)
      .from_to_below(0, 1)
      .about("The first beta at the lowest rate.");
  cycle.key("decay_mom_rate", one_cycle.decay_momentum_rate)
      .at_least(0.0)
      .about("How fast the first beta grows after the cycle.");
  cycle.not_yet("cycle_first_stair_count", 0, "a cycle in stairs");
  cycle.not_yet("cycle_second_stair_count", 0, "a cycle in stairs");

  Section& warm = params(Type::warmup, "WarmupLR", "Up to a rate, then constant.");
  rate_keys(warm);
  warmup_keys(warm, warmup.steps, warmup.type);

  Section& decay = params(Type::warmup_decay, "WarmupDecayLR", "Up to a rate, then linearly down to 0.");
  total_key(decay);
  rate_keys(decay);
  warmup_keys(decay, warmup.steps, warmup.type);

  Section& down =
      params(Type::warmup_cosine, "WarmupCosineLR", "Up to the optimizer's `lr`, then down along half a cosine.");
  total_key(down);
  down.key("warmup_min_ratio", cosine.warmup_minimum_ratio)
      .between(0, 1)
      .about("The rate at the start, as a multiple of the optimizer's `lr`.");
  warmup_keys(down, cosine.warmup_steps, cosine.type);
  down.key("cos_min_ratio", cosine.cosine_minimum_ratio)
      .between(0, 1)
      .about("The rate at the end, as a multiple of the optimizer's `lr`.");
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, OptimizerPlacement& placement) {
  using Type = OptimizerConfig::Type;
  if (config.type == Type::sgd)
    return make_sgd({.momentum = config.momentum,
                     .dampening = config.dampening,
                     .weight_decay = config.weight_decay,
                     .nesterov = config.nesterov},
                    placement);
  return make_adam({.beta1 = config.betas[0],
                    .beta2 = config.betas[1],
                    .epsilon = config.epsilon,
                    .weight_decay = config.weight_decay,
                    .decoupled = config.type == Type::adamw || config.decoupled,
                    .bias_correction = config.bias_correction},
                   placement);
}

Schedule make_schedule(const SchedulerConfig& config, const OptimizerConfig& optimizer) {
  using Type = SchedulerConfig::Type;
  check(!config.has_total() || config.total, "make_schedule: the scheduler's total_num_steps is not set");
  Warmup warm = config.warmup;
  warm.maximum = config.warmup_maximum.value_or(optimizer.rate);
  switch (config.type) {
    case Type::none: return constant(optimizer.rate);
    case Type::range_test: return range_test(config.range_test);
    case Type::one_cycle: {
      OneCycle cycle = config.one_cycle;
      cycle.second_steps = config.one_cycle_second_steps.value_or(cycle.first_steps);
      cycle.cycles_momentum = cycle.cycles_momentum && optimizer.type != OptimizerConfig::Type::sgd;
      return one_cycle(cycle);
    }
    case Type::warmup: return warmup(warm);
    case Type::warmup_decay: return warmup_decay(warm, *config.total);
    case Type::warmup_cosine: {
      WarmupCosine down = config.cosine;
      down.rate = optimizer.rate;
      down.total = *config.total;
      return warmup_cosine(down);
    }
  }
  return constant(optimizer.rate);
}

}  // namespace tranche
