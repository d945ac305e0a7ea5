// Cross-entropy reads the logits in their dtype, row by row; no float32 copy of them is made.
#include "runtime/ops/cuda/counted.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

template <class T> struct LogSumRow {
  CrossEntropyForward a;
  __device__ void operator()(const Block& block, std::size_t row) const {
    const float log_sum = functors::log_sum_exp(block, a.classes, a.logits.as<const T>() + row * a.classes);
    block.single([&] { a.log_sums[row] = log_sum; });
  }
};

template <class T> struct MeanLoss {
  CrossEntropyForward a;
  __device__ void operator()(const Block& block, std::size_t) const {
    const double sum = block.sum(a.rows, [&](std::size_t row) {
      if (a.targets[row] == a.ignored) return 0.0;
      const std::size_t target = static_cast<std::size_t>(a.targets[row]);
      return double{a.log_sums[row]} - double{to_float(a.logits.as<const T>()[row * a.classes + target])};
    });
    const std::size_t counted = functors::counted_rows(block, a.rows, a.targets, a.ignored);
    block.single([&] { *a.loss = counted == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(counted)); });
  }
};

void cross_entropy(Device& device, const CrossEntropyForward& a) {
  with_type(a.logits.dtype, [&](auto type) {
    using T = decltype(type);
    over_rows(device, a.rows, a.classes, LogSumRow<T>{a});
    over_rows(device, 1, a.rows, MeanLoss<T>{a});
  });
}

template <bool adds, class T> struct CrossEntropyGradientRow {
  CrossEntropyGradient a;
  const float* factor;
  __device__ void operator()(const Block& block, std::size_t row) const {
    T* dlogits = a.dlogits.as<T>() + row * a.classes;
    if (a.targets[row] != a.ignored)
      functors::cross_entropy_gradient_row<adds>(block, a.classes, a.logits.as<const T>() + row * a.classes,
                                                 static_cast<std::size_t>(a.targets[row]), a.log_sums[row], *factor,
                                                 dlogits);
    else if constexpr (!adds)
      block.each(a.classes, [&](std::size_t i) { dlogits[i] = from_float<T>(0.0f); });
  }
};
void cross_entropy_gradient(Device& device, const CrossEntropyGradient& a) {
  const Buffer share = share_of_a_row(device, a);
  const float* factor = reinterpret_cast<const float*>(share.data());
  with_target(a.dlogits, [&](auto type, auto mode) {
    over_rows(device, a.rows, a.classes, CrossEntropyGradientRow<decltype(mode)::adds, decltype(type)>{a, factor});
  });
}

LossKernels loss_kernels() {
  return {.cross_entropy = cross_entropy, .cross_entropy_gradient = cross_entropy_gradient};
}

}  // namespace tranche::ops::cuda
