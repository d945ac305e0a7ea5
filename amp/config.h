// What a job file says about precision ("fp16", "bf16"), and the making of the loss scaler.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runtime/train/seams.h"

namespace tranche {

class Section;

struct AmpConfig {
  enum class Semantics { deepspeed, torch };

  bool float16 = false, bfloat16 = false;  // not both
  Semantics semantics = Semantics::deepspeed;
  double loss_scale = 0;  // 0: dynamic
  std::size_t initial_scale_power = 16;
  std::size_t window = 1000, hysteresis = 2;  // DeepSpeed's, as the two below
  bool consecutive_hysteresis = false;
  double min_loss_scale = 1;
  double growth_factor = 2, backoff_factor = 0.5;  // torch's, as the one below
  std::size_t growth_interval = 2000;

  // "fp16" and "bf16", in the job itself.
  void declare(Section& job);
  Precision precision() const;
};

// The scaler that the job asks for; without float16 one that scales by 1. Both must outlive it. replica: the ranks that
// together hold one copy of the gradients.
std::unique_ptr<LossScaler> make_scaler(const AmpConfig& config, const std::vector<Owned>& owned,
                                        Communicator& replica);

}  // namespace tranche
