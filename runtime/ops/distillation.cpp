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
  check_dtype(op, "targets", targets, DType::int32);
  check_size(op, "targets", targets, logits.rows());
  check_device(op, "targets", targets, logits);
  check_dtype(op, "statistics", statistics, DType::float32);
  check_size(op, "statistics", statistics, 4 * logits.rows());
  check_device(op, "statistics", statistics, logits);
  check(terms.temperature > 0 && terms.alpha >= 0 && terms.alpha <= 1, op, ": temperature ", terms.temperature,
        ", alpha ", terms.alpha);
  check_indices(op, "target", targets, logits.cols(), ignored_target);
}

void check_scalar(std::string_view op, std::string_view what, const Tensor& tensor, const Tensor& like) {
  check_dtype(op, what, tensor, DType::float32);
  check_size(op, what, tensor, 1);
  check_device(op, what, tensor, like);
}

}  // namespace

void distillation(const Tensor& logits, const Tensor& teacher, const Tensor& targets, const DistillationTerms& terms,
                  const Tensor& loss, const Tensor& statistics) {
  check_all("distillation", logits, teacher, targets, terms, statistics);
  check_scalar("distillation", "loss", loss, logits);
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
  check_scalar("distillation_gradient", "dloss", dloss, logits);
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
