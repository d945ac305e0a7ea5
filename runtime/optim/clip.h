// Clipping by the global norm (Pascanu, Mikolov, Bengio 2013).
#pragma once

#include "runtime/nn/seams.h"

namespace tranche {

// Multiplies the gradients by limit / (norm + 1e-6) where that is below 1, as torch.nn.utils.clip_grad_norm_ does; the
// factor is computed in double and rounded to float32. A limit of 0 clips nothing.
void clip(const Shards& gradients, double norm, double limit);

}  // namespace tranche
