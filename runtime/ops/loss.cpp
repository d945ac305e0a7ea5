#include "runtime/ops/loss.h"

#include "runtime/ops/indices.h"

namespace tranche::ops {
namespace {

void check_rows(std::string_view op, const Tensor& logits, const Tensor& targets, const Tensor& log_sums) {
  check_floating(op, "logits", logits);
  check_dtype(op, "targets", targets, DType::int32);
  check_size(op, "targets", targets, logits.rows());
  check_device(op, "targets", targets, logits);
  check_dtype(op, "log_sums", log_sums, DType::float32);
  check_size(op, "log_sums", log_sums, logits.rows());
  check_device(op, "log_sums", log_sums, logits);
  check_indices(op, "target", targets, logits.cols(), ignored_target);
}

void check_scalar(std::string_view op, std::string_view what, const Tensor& tensor, const Tensor& like) {
  check_dtype(op, what, tensor, DType::float32);
  check_size(op, what, tensor, 1);
  check_device(op, what, tensor, like);
}

}  // namespace

void cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& loss, const Tensor& log_sums) {
  check_rows("cross_entropy", logits, targets, log_sums);
  check_scalar("cross_entropy", "loss", loss, logits);
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
  check_scalar("cross_entropy_gradient", "dloss", dloss, logits);
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
