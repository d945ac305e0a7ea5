#include "runtime/ops/kernels/distillation.h"

#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/distillation.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

using functors::DistilledRow;

void forward(Device& device, const DistillationForward& a) {
  const bool reverse = a.terms.divergence == Divergence::reverse;
  with_type(a.logits.dtype, [&](auto student_type) {
    using S = decltype(student_type);
    const S* student = a.logits.as<const S>();
    with_type(a.teacher.dtype, [&](auto teacher_type) {
      using T = decltype(teacher_type);
      const T* teacher = a.teacher.as<const T>();
      over_rows(device, a.rows, a.classes, [&](std::size_t row) {
        const DistilledRow its = functors::distilled_row(Block{}, a.classes, student + row * a.classes,
                                                         teacher + row * a.classes, a.terms.temperature, reverse);
        functors::keep(its, a.statistics + 4 * row);
      });
    });
    double sum = 0;
    for (std::size_t row = 0; row < a.rows; ++row) {
      if (a.targets[row] == a.ignored) continue;
      const auto target = static_cast<std::size_t>(a.targets[row]);
      sum += functors::distilled_loss(functors::distilled_row_of(a.statistics, row),
                                      to_float(student[row * a.classes + target]), a.terms);
    }
    const std::size_t counted = functors::counted_rows(Block{}, a.rows, a.targets, a.ignored);
    *a.loss = counted == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(counted));
  });
}

void gradient(Device& device, const DistillationGradient& a) {
  const bool reverse = a.terms.divergence == Divergence::reverse;
  const float each = *a.dloss / static_cast<float>(functors::counted_rows(Block{}, a.rows, a.targets, a.ignored));
  const float hard = (1 - a.terms.alpha) * each, soft = a.terms.alpha * a.terms.temperature * each;
  with_target(a.dlogits, [&](auto type, auto mode) {
    using S = decltype(type);
    with_type(a.teacher.dtype, [&](auto teacher_type) {
      using T = decltype(teacher_type);
      over_rows(device, a.rows, a.classes, [&](std::size_t row) {
        S* const dlogits = a.dlogits.as<S>() + row * a.classes;
        if (a.targets[row] != a.ignored)
          functors::distilled_gradient_row<mode.adds>(
              Block{}, a.classes, a.logits.as<const S>() + row * a.classes, a.teacher.as<const T>() + row * a.classes,
              static_cast<std::size_t>(a.targets[row]), functors::distilled_row_of(a.statistics, row),
              a.terms.temperature, reverse, hard, soft, dlogits);
        else if constexpr (!mode.adds)
          __builtin_memset(static_cast<void*>(dlogits), 0, a.classes * sizeof(S));
      });
    });
  });
}

}  // namespace

DistillationKernels distillation_kernels();
DistillationKernels distillation_kernels() { return {.forward = forward, .gradient = gradient}; }

}  // namespace tranche::ops::TRANCHE_PATH
