#include "runtime/ops/linear.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {

void linear_bias_gradient(const Tensor& dy, const Destination& dbias) {
  if (!dbias) return;
  check_floating("linear_bias_gradient", "dy", dy);
  check_alike("linear_bias_gradient", "dbias", dbias.tensor, dy);
  check_shape("linear_bias_gradient", "dbias", dbias.tensor, {dy.cols()});
  kernels_of(dy.device()).linear.bias_gradient(
      dy.device(), {.dy = elements_of(dy), .dbias = target_of(dbias), .rows = dy.rows(), .out = dy.cols()});
}

}  // namespace tranche::ops
