// Distillation of one row (runtime/ops/distillation.h). Block is what computes a row together: sum, max, each.
#pragma once

#include "runtime/ops/distillation.h"
#include "runtime/ops/functors/math.h"

namespace tranche::ops::functors {

// log sum exp(logits * factor), factor > 0
template <class Block, class T>
TRANCHE_FUNCTOR float scaled_log_sum_exp(const Block& block, std::size_t classes, const T* logits, float factor) {
  const float largest =
      block.max(classes, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return to_float(logits[i]) * factor; });
  return largest + log(block.sum(classes, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
           return exp(to_float(logits[i]) * factor - largest);
         }));
}

// What backward needs of a row.
struct DistilledRow {
  float log_sum, student_log_sum, teacher_log_sum;  // of logits; of both divided by the temperature
  float divergence;
};

template <class Block, class S, class T>
TRANCHE_FUNCTOR DistilledRow distilled_row(const Block& block, std::size_t classes, const S* student, const T* teacher,
                                           float temperature, bool reverse) {
  const float factor = 1 / temperature;
  DistilledRow row{scaled_log_sum_exp(block, classes, student, 1.0f),
                   scaled_log_sum_exp(block, classes, student, factor),
                   scaled_log_sum_exp(block, classes, teacher, factor), 0};
  row.divergence = block.sum(classes, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float log_q = to_float(student[i]) * factor - row.student_log_sum;
    const float log_p = to_float(teacher[i]) * factor - row.teacher_log_sum;
    return reverse ? exp(log_q) * (log_q - log_p) : exp(log_p) * (log_p - log_q);
  });
  return row;
}

// dlogits = hard (softmax(student) - onehot(target)) + soft G, where soft is alpha temperature dloss / rows, and G is
// q - p (forward) or q (log(q / p) - divergence) (reverse).
template <bool adds, class Block, class S, class T>
TRANCHE_FUNCTOR void distilled_gradient_row(const Block& block, std::size_t classes, const S* student, const T* teacher,
                                            std::size_t target, const DistilledRow& row, float temperature,
                                            bool reverse, float hard, float soft, S* dlogits) {
  const float factor = 1 / temperature;
  block.each(classes, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float logit = to_float(student[i]);
    const float log_q = logit * factor - row.student_log_sum;
    const float log_p = to_float(teacher[i]) * factor - row.teacher_log_sum;
    const float q = exp(log_q);
    const float towards = reverse ? q * (log_q - log_p - row.divergence) : q - exp(log_p);
    const float away = exp(logit - row.log_sum) - (i == target ? 1.0f : 0.0f);
    put<adds>(dlogits[i], hard * away + soft * towards);
  });
}

}  // namespace tranche::ops::functors
