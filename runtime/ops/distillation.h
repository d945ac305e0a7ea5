// The loss of a student that learns from targets and from a teacher's logits (Hinton, Vinyals, Dean 2015), in float32.
#pragma once

#include "runtime/ops/destination.h"

namespace tranche::ops {

// Which of the two distributions the divergence averages over: the teacher's, sum p log(p / q), or the student's,
// sum q log(q / p) (Gu et al. 2024).
enum class Divergence : std::uint8_t { forward, reverse };

struct DistillationTerms {
  float alpha = 0.5f;     // the divergence's part of the loss, 0 .. 1; the rest is cross-entropy
  float temperature = 1;  // above 0: both distributions are softmax(logits / temperature)
  Divergence divergence = Divergence::forward;
};

// loss = mean over rows of (1 - alpha) cross-entropy(logits, target) + alpha temperature^2 divergence(teacher, logits).
// Rows whose target is -100 do not count. A row is summed in lanes, rows in order.
// logits: (rows, classes), teacher: as logits, its dtype may differ, targets: (rows) int32; loss: (1) float32;
// statistics: (rows, 4) float32, which backward needs. Throws Exit::data on a target that is no class, naming its row.
void distillation(const Tensor& logits, const Tensor& teacher, const Tensor& targets, const DistillationTerms& terms,
                  const Tensor& loss, const Tensor& statistics);

// The gradient to the student's logits; dlogits may be logits.  dloss: (1) float32
void distillation_gradient(const Tensor& dloss, const Tensor& logits, const Tensor& teacher, const Tensor& targets,
                           const DistillationTerms& terms, const Tensor& statistics, const Destination& dlogits);

}  // namespace tranche::ops
