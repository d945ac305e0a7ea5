#include "runtime/ops/kernels/loss.h"

#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/loss.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

void cross_entropy(Device& device, const CrossEntropyForward& a) {
  with_type(a.logits.dtype, [&](auto type) {
    using T = decltype(type);
    const T* logits = a.logits.as<const T>();
    over_rows(device, a.rows, a.classes, [&](std::size_t row) {
      a.log_sums[row] = functors::log_sum_exp(Block{}, a.classes, logits + row * a.classes);
    });
    double sum = 0;
    for (std::size_t row = 0; row < a.rows; ++row) {
      if (a.targets[row] == a.ignored) continue;
      const std::size_t target = static_cast<std::size_t>(a.targets[row]);
      sum += double{a.log_sums[row]} - double{to_float(logits[row * a.classes + target])};
    }
    const std::size_t counted = functors::counted_rows(Block{}, a.rows, a.targets, a.ignored);
    *a.loss = counted == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(counted));
  });
}

template <bool adds, class T> void gradient_row(const CrossEntropyGradient& a, float factor, std::size_t row) {
  T* dlogits = a.dlogits.as<T>() + row * a.classes;
  if (a.targets[row] != a.ignored)
    functors::cross_entropy_gradient_row<adds>(Block{}, a.classes, a.logits.as<const T>() + row * a.classes,
                                               static_cast<std::size_t>(a.targets[row]), a.log_sums[row], factor,
                                               dlogits);
  else if constexpr (!adds)
    __builtin_memset(static_cast<void*>(dlogits), 0, a.classes * sizeof(T));
}

void cross_entropy_gradient(Device& device, const CrossEntropyGradient& a) {
  const float factor = *a.dloss / static_cast<float>(functors::counted_rows(Block{}, a.rows, a.targets, a.ignored));
  with_target(a.dlogits, [&](auto type, auto mode) {
    over_rows(device, a.rows, a.classes,
              [&](std::size_t row) { gradient_row<mode.adds, decltype(type)>(a, factor, row); });
  });
}

}  // namespace

LossKernels loss_kernels();
LossKernels loss_kernels() {
  return {.cross_entropy = cross_entropy, .cross_entropy_gradient = cross_entropy_gradient};
}

}  // namespace tranche::ops::TRANCHE_PATH
