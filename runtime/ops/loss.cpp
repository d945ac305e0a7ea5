#include "runtime/ops/loss.h"

#include "runtime/ops/indices.h"

namespace tranche::ops {
namespace {

void check_rows(std::string_view op, const Tensor& logits, const Tensor& targets, const Tensor& log_sums) {
  check_floating(op, "logits", logits);
  check_array(op, "targets", targets, DType::int32, logits.rows(), logits);
  check_array(op, "log_sums", log_sums, DType::float32, logits.rows(), logits);
  check_indices(op, "target", targets, logits.cols(), ignored_target);
}

}  // namespace

void cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& loss, const Tensor& log_sums) {
  check_rows("cross_entropy", logits, targets, log_sums);
  check_array("cross_entropy", "loss", loss, DType::float32, 1, logits);
  kernels_of(logits.device())
      .loss.cross_entropy(logits.device(), {.logits = elements_of(logits),
                                            .targets = elements_of(targets).as<const std::int32_t>(),
                                            .ignored = ignored_target,
                                            .loss = elements_of(loss).as<float>(),
                                            .log_sums = elements_of(log_sums).as<float>(),
                                            .rows = logits.rows(),
                                            .classes = logits.cols()});
}

void cross_entropy_gradient(const Tensor& dloss, const Tensor& logits, const Tensor& targets, const Tensor& log_sums,
                            const Destination& dlogits) {
  if (!dlogits) return;
  check_rows("cross_entropy_gradient", logits, targets, log_sums);
  check_array("cross_entropy_gradient", "dloss", dloss, DType::float32, 1, logits);
  check_same("cross_entropy_gradient", "dlogits", dlogits.tensor, logits);
  kernels_of(logits.device())
      .loss.cross_entropy_gradient(logits.device(), {.dloss = elements_of(dloss).as<const float>(),
                                                     .logits = elements_of(logits),
                                                     .targets = elements_of(targets).as<const std::int32_t>(),
                                                     .ignored = ignored_target,
                                                     .log_sums = elements_of(log_sums).as<const float>(),
                                                     .dlogits = target_of(dlogits),
                                                     .rows = logits.rows(),
                                                     .classes = logits.cols()});
}

}  // namespace tranche::ops
