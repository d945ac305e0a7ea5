// Distillation of one row (runtime/ops/distillation.h). Block is what computes a row together: sum, max, each.
#pragma once

#include "runtime/ops/distillation.h"
#include "runtime/ops/functors/loss.h"

namespace tranche::ops::functors {

// What backward needs of a row.
struct DistilledRow {
  float log_sum, student_log_sum, teacher_log_sum;  // of logits; of both divided by the temperature
  float divergence;
};
// As the statistics hold it.
TRANCHE_FUNCTOR DistilledRow distilled_row_of(const float* statistics, std::size_t row) {
  const float* const its = statistics + 4 * row;
  return {its[0], its[1], its[2], its[3]};
}
TRANCHE_FUNCTOR void keep(const DistilledRow& row, float* statistics) {
  statistics[0] = row.log_sum, statistics[1] = row.student_log_sum;
  statistics[2] = row.teacher_log_sum, statistics[3] = row.divergence;
}

// A row's part of the loss.
TRANCHE_FUNCTOR double distilled_loss(const DistilledRow& row, float target_logit, const DistillationTerms& terms) {
  const double alpha = double{terms.alpha}, temperature = double{terms.temperature};
  return (1 - alpha) * (double{row.log_sum} - double{target_logit}) +
         alpha * temperature * temperature * double{row.divergence};
}

template <class Block, class S, class T>
TRANCHE_FUNCTOR DistilledRow distilled_row(const Block& block, std::size_t classes, const S* student, const T* teacher,
                                           float temperature, bool reverse) {
  const float factor = 1 / temperature;
  DistilledRow row{log_sum_exp(block, classes, student), log_sum_exp(block, classes, student, factor),
                   log_sum_exp(block, classes, teacher, factor), 0};
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
