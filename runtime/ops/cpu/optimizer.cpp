#include "runtime/ops/kernels/optimizer.h"

#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/optimizer.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

// Runs update(i) over all elements and, in the same pass, rounds weights[i] to the working copy if there is one.
template <class Update>
TRANCHE_INLINE void update_all(Device& device, std::size_t size, const float* weights, const Elements& working,
                               const Update& all) {
  over_elements(device, size, [&](std::size_t first, std::size_t count) {
    const Update update = all;  // in registers: what lies in memory might be what was just written
    if (!working) {
      Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { update(first + i); });
      return;
    }
    with_type(working.dtype, [&](auto type) {
      auto* rounded = working.as<decltype(type)>();
      Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
        update(first + i);
        functors::put<false>(rounded[first + i], weights[first + i]);
      });
    });
  });
}

void adam(Device& device, const AdamUpdate& a) {
  const functors::Adam update{a.step};
  float *weights = a.weights, *mean = a.mean, *square = a.square;
  const float* gradient = a.gradient;
  update_all(device, a.size, weights, a.working,
             [=](std::size_t i) TRANCHE_ALWAYS_INLINE { update(weights[i], mean[i], square[i], gradient[i]); });
}

template <bool first, bool looks_ahead> void sgd_with_momentum(Device& device, const SgdUpdate& a) {
  const functors::Sgd update{a.step};
  float *weights = a.weights, *buffer = a.buffer;
  const float* gradient = a.gradient;
  update_all(device, a.size, weights, a.working, [=](std::size_t i) TRANCHE_ALWAYS_INLINE {
    update.update<first, looks_ahead>(weights[i], buffer[i], gradient[i]);
  });
}

void sgd(Device& device, const SgdUpdate& a) {
  if (a.buffer != nullptr) {
    if (a.step.first)
      return a.step.nesterov ? sgd_with_momentum<true, true>(device, a) : sgd_with_momentum<true, false>(device, a);
    return a.step.nesterov ? sgd_with_momentum<false, true>(device, a) : sgd_with_momentum<false, false>(device, a);
  }
  const functors::Sgd update{a.step};
  float* weights = a.weights;
  const float* gradient = a.gradient;
  update_all(device, a.size, weights, a.working,
             [=](std::size_t i) TRANCHE_ALWAYS_INLINE { update(weights[i], gradient[i]); });
}

}  // namespace

OptimizerKernels optimizer_kernels();
OptimizerKernels optimizer_kernels() { return {.adam = adam, .sgd = sgd}; }

}  // namespace tranche::ops::TRANCHE_PATH
