// As cross-entropy (loss.cu): rows of logits in their dtypes, then their sum by one block.
#include "runtime/ops/functors/distillation.h"

#include "runtime/ops/cuda/counted.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

template <class S, class T> struct DistillRow {
  DistillationForward a;
  __device__ void operator()(const Block& block, std::size_t row) const {
    const functors::DistilledRow its = functors::distilled_row(
        block, a.classes, a.logits.as<const S>() + row * a.classes, a.teacher.as<const T>() + row * a.classes,
        a.terms.temperature, a.terms.divergence == Divergence::reverse);
    block.single([&] { functors::keep(its, a.statistics + 4 * row); });
  }
};

template <class S> struct MeanDistillation {
  DistillationForward a;
  __device__ void operator()(const Block& block, std::size_t) const {
    const double sum = block.sum(a.rows, [&](std::size_t row) {
      if (a.targets[row] == a.ignored) return 0.0;
      const std::size_t target = static_cast<std::size_t>(a.targets[row]);
      return functors::distilled_loss(functors::distilled_row_of(a.statistics, row),
                                      to_float(a.logits.as<const S>()[row * a.classes + target]), a.terms);
    });
    const std::size_t counted = functors::counted_rows(block, a.rows, a.targets, a.ignored);
    block.single([&] { *a.loss = counted == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(counted)); });
  }
};

void distillation(Device& device, const DistillationForward& a) {
  with_type(a.logits.dtype, [&](auto student) {
    using S = decltype(student);
    with_type(a.teacher.dtype,
              [&](auto teacher) { over_rows(device, a.rows, a.classes, DistillRow<S, decltype(teacher)>{a}); });
    over_rows(device, 1, a.rows, MeanDistillation<S>{a});
  });
}

template <bool adds, class S, class T> struct DistillationGradientRow {
  DistillationGradient a;
  const float* share;
  __device__ void operator()(const Block& block, std::size_t row) const {
    const float each = *share;
    S* dlogits = a.dlogits.as<S>() + row * a.classes;
    if (a.targets[row] != a.ignored)
      functors::distilled_gradient_row<adds>(
          block, a.classes, a.logits.as<const S>() + row * a.classes, a.teacher.as<const T>() + row * a.classes,
          static_cast<std::size_t>(a.targets[row]), functors::distilled_row_of(a.statistics, row), a.terms.temperature,
          a.terms.divergence == Divergence::reverse, (1 - a.terms.alpha) * each,
          a.terms.alpha * a.terms.temperature * each, dlogits);
    else if constexpr (!adds)
      block.each(a.classes, [&](std::size_t i) { dlogits[i] = from_float<S>(0.0f); });
  }
};
void distillation_gradient(Device& device, const DistillationGradient& a) {
  const Buffer scratch = share_of_a_row(device, a);
  const float* share = reinterpret_cast<const float*>(scratch.data());
  with_target(a.dlogits, [&](auto student, auto mode) {
    using S = decltype(student);
    with_type(a.teacher.dtype, [&](auto teacher) {
      over_rows(device, a.rows, a.classes,
                DistillationGradientRow<decltype(mode)::adds, S, decltype(teacher)>{a, share});
    });
  });
}

DistillationKernels distillation_kernels() { return {.forward = distillation, .gradient = distillation_gradient}; }

}  // namespace tranche::ops::cuda
