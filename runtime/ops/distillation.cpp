#include "runtime/ops/distillation.h"

#include "runtime/ops/indices.h"
#include "runtime/ops/loss.h"

namespace tranche::ops {
namespace {

void check_all(std::string_view op, const Tensor& logits, const Tensor& teacher, const Tensor& targets,
               const DistillationTerms& terms, const Tensor& statistics) {
  check_floating(op, "logits", logits);
  check_floating(op, "teacher", teacher);
  check_device(op, "teacher", teacher, logits);
  check_matrix(op, "teacher", teacher, logits.rows(), logits.cols());
  check_array(op, "targets", targets, DType::int32, logits.rows(), logits);
  check_array(op, "statistics", statistics, DType::float32, 4 * logits.rows(), logits);
  check(terms.temperature > 0 && terms.alpha >= 0 && terms.alpha <= 1, op, ": temperature ", terms.temperature,
        ", alpha ", terms.alpha);
  check_indices(op, "target", targets, logits.cols(), ignored_target);
}

}  // namespace

void distillation(const Tensor& logits, const Tensor& teacher, const Tensor& targets, const DistillationTerms& terms,
                  const Tensor& loss, const Tensor& statistics) {
  check_all("distillation", logits, teacher, targets, terms, statistics);
  check_array("distillation", "loss", loss, DType::float32, 1, logits);
  kernels_of(logits.device())
      .distillation.forward(logits.device(), {.logits = elements_of(logits),
                                              .teacher = elements_of(teacher),
                                              .targets = elements_of(targets).as<const std::int32_t>(),
                                              .ignored = ignored_target,
                                              .terms = terms,
                                              .loss = elements_of(loss).as<float>(),
                                              .statistics = elements_of(statistics).as<float>(),
                                              .rows = logits.rows(),
                                              .classes = logits.cols()});
}

void distillation_gradient(const Tensor& dloss, const Tensor& logits, const Tensor& teacher, const Tensor& targets,
                           const DistillationTerms& terms, const Tensor& statistics, const Destination& dlogits) {
  if (!dlogits) return;
  check_all("distillation_gradient", logits, teacher, targets, terms, statistics);
  check_array("distillation_gradient", "dloss", dloss, DType::float32, 1, logits);
  check_same("distillation_gradient", "dlogits", dlogits.tensor, logits);
  kernels_of(logits.device())
      .distillation.gradient(logits.device(), {.dloss = elements_of(dloss).as<const float>(),
                                               .logits = elements_of(logits),
                                               .teacher = elements_of(teacher),
                                               .targets = elements_of(targets).as<const std::int32_t>(),
                                               .ignored = ignored_target,
                                               .terms = terms,
                                               .statistics = elements_of(statistics).as<const float>(),
                                               .dlogits = target_of(dlogits),
                                               .rows = logits.rows(),
                                               .classes = logits.cols()});
}

}  // namespace tranche::ops
