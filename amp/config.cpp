#include "amp/config.h"

#include <cmath>

#include "amp/loss_scaler.h"
#include "runtime/base/settings.h"

namespace tranche {

void AmpConfig::declare(Section& job) {
  const auto deepspeeds = [this] { return semantics == Semantics::deepspeed; };
  const auto torchs = [this] { return semantics == Semantics::torch; };
  const std::string if_deepspeed = "`semantics` is \"deepspeed\"", if_torch = "`semantics` is \"torch\"";

  Section& fp16 =
      job.section("fp16",
                  "Training in float16: the owner of a parameter keeps it in float32 as well, and the loss is "
                  "scaled so that small gradients survive (Micikevicius et al. 2018).");
  fp16.key("enabled", float16).about("Whether parameters, activations and gradients are float16.");
  fp16.choice<Semantics>("semantics", semantics, {{"deepspeed", Semantics::deepspeed}, {"torch", Semantics::torch}})
      .about("Whose rules a dynamic loss scale follows: DeepSpeed's, or those of torch.cuda.amp.GradScaler.");
  fp16.key("loss_scale", loss_scale).at_least(0.0).about("A fixed scale; 0: dynamic.");
  fp16.key("initial_scale_power", initial_scale_power)
      .between(0, 127)
      .about("A dynamic scale starts at 2 to this power.");
  fp16.key("loss_scale_window", window)
      .at_least(1)
      .when(deepspeeds, if_deepspeed)
      .about("Clean steps after which the scale doubles.");
  fp16.key("hysteresis", hysteresis)
      .at_least(1)
      .when(deepspeeds, if_deepspeed)
      .about("The overflow from which on the scale is halved; refilled when the scale doubles.");
  fp16.key("consecutive_hysteresis", consecutive_hysteresis)
      .when(deepspeeds, if_deepspeed)
      .about("Refill the hysteresis at every clean step instead.");
  fp16.key("min_loss_scale", min_loss_scale)
      .above(0)
      .when(deepspeeds, if_deepspeed)
      .about("The lowest scale; an overflow there ends the run, naming the first tensor that is not finite.");
  fp16.key("growth_factor", growth_factor)
      .above(1)
      .when(torchs, if_torch)
      .about("What the scale is multiplied with to grow.");
  fp16.key("backoff_factor", backoff_factor)
      .accept([](double v) { return v > 0 && v < 1; }, "above 0 and below 1")
      .when(torchs, if_torch)
      .about("What the scale is multiplied with after an overflow.");
  fp16.key("growth_interval", growth_interval)
      .at_least(1)
      .when(torchs, if_torch)
      .about("Clean steps in a row after which the scale grows.");
  fp16.not_yet("auto_cast", false, "casting a model's inputs");
  fp16.not_yet("fp16_master_weights_and_grads", false, "float16 master weights");

  Section& bf16 = job.section(
      "bf16", "Training in bfloat16: the owner of a parameter keeps it in float32 as well; no loss scale is needed.");
  bf16.key("enabled", bfloat16)
      .when([this] { return !(bfloat16 && float16); }, "`fp16.enabled` is false: there is one working precision")
      .about("Whether parameters, activations and gradients are bfloat16.");
  bf16.no_effect("immediate_grad_update", true, "gradients are reduced during backward always");
  bf16.no_effect("check_grad_overflow", false, "a norm that is not finite stops the run always");
  bf16.not_yet("bf16_master_weights_and_grads", false, "bfloat16 master weights");
  bf16.not_yet("bf16_optimizer_states", false, "bfloat16 moments");
}

Precision AmpConfig::precision() const {
  return {float16 ? DType::float16 : bfloat16 ? DType::bfloat16 : DType::float32};
}

std::unique_ptr<LossScaler> make_scaler(const AmpConfig& config, const std::vector<Owned>& owned,
                                        Communicator& replica) {
  if (!config.float16) return std::make_unique<NoScaling>(owned, replica);
  if (config.loss_scale > 0)
    return std::make_unique<StaticScaler>(owned, replica, static_cast<float>(config.loss_scale));
  const float initial = std::ldexp(1.0f, static_cast<int>(config.initial_scale_power));
  if (config.semantics == AmpConfig::Semantics::torch)
    return std::make_unique<TorchScaler>(
        owned, replica,
        TorchScaler::Options{.initial = initial,
                             .growth = static_cast<float>(config.growth_factor),
                             .backoff = static_cast<float>(config.backoff_factor),
                             .interval = static_cast<std::int64_t>(config.growth_interval)});
  return std::make_unique<DynamicScaler>(
      owned, replica,
      DynamicScaler::Options{.initial = initial,
                             .floor = static_cast<float>(config.min_loss_scale),
                             .window = static_cast<std::int64_t>(config.window),
                             .hysteresis = static_cast<std::int64_t>(config.hysteresis),
                             .consecutive_hysteresis = config.consecutive_hysteresis});
}

}  // namespace tranche
