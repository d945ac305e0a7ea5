#include "runtime/ops/linear.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {

namespace {

LinearForward forward_of(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y) {
  const std::size_t rows = x.rows(), in = x.cols(), out = weight.rows();
  check(in == weight.cols(), "linear: input has ", in, " features, weight expects ", weight.cols());
  check_floating("linear", "input", x);
  check_alike("linear", "weight", weight, x);
  if (bias) {
    check_alike("linear", "bias", bias, x);
    check_shape("linear", "bias", bias, {out});
  }
  check_alike("linear", "output", y, x);
  check_matrix("linear", "output", y, rows, out);
  return {.x = elements_of(x),
          .weight = elements_of(weight),
          .bias = elements_of(bias),
          .y = elements_of(y),
          .rows = rows,
          .in = in,
          .out = out};
}

}  // namespace

void linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y) {
  kernels_of(x.device()).linear.forward(x.device(), forward_of(x, weight, bias, y));
}

void linear_activated(Activation kind, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& before,
                      const Tensor& y) {
  const LinearForward product = forward_of(x, weight, bias, before);
  check_same("linear_activated", "y", y, before);
  const auto together = kernels_of(x.device()).linear.activated;
  if (together != nullptr && together(x.device(), {.product = product, .kind = kind, .activated = elements_of(y)}))
    return;
  linear(x, weight, bias, before);
  activate(kind, before, y);
}

void linear_input_gradient(const Tensor& dy, const Tensor& weight, const Destination& dx) {
  if (!dx) return;
  const std::size_t rows = dy.rows(), in = weight.cols(), out = weight.rows();
  check(dy.cols() == out, "linear_input_gradient: dy has ", dy.cols(), " features, weight gives ", out);
  check_floating("linear_input_gradient", "dy", dy);
  check_alike("linear_input_gradient", "weight", weight, dy);
  check_alike("linear_input_gradient", "dx", dx.tensor, dy);
  check_matrix("linear_input_gradient", "dx", dx.tensor, rows, in);
  kernels_of(dy.device())
      .linear.input_gradient(dy.device(), {.dy = elements_of(dy),
                                           .weight = elements_of(weight),
                                           .dx = target_of(dx),
                                           .rows = rows,
                                           .in = in,
                                           .out = out});
}

void linear_weight_gradient(const Tensor& dy, const Tensor& x, const Destination& dweight) {
  if (!dweight) return;
  const std::size_t rows = dy.rows(), in = x.cols(), out = dy.cols();
  check(x.rows() == rows, "linear_weight_gradient: dy has ", rows, " rows, x has ", x.rows());
  check_floating("linear_weight_gradient", "dy", dy);
  check_alike("linear_weight_gradient", "x", x, dy);
  check_alike("linear_weight_gradient", "dweight", dweight.tensor, dy);
  check_matrix("linear_weight_gradient", "dweight", dweight.tensor, out, in);
  kernels_of(dy.device())
      .linear.weight_gradient(dy.device(), {.dy = elements_of(dy),
                                            .x = elements_of(x),
                                            .dweight = target_of(dweight),
                                            .rows = rows,
                                            .in = in,
                                            .out = out});
}

void linear_bias_gradient(const Tensor& dy, const Destination& dbias) {
  if (!dbias) return;
  check_floating("linear_bias_gradient", "dy", dy);
  check_alike("linear_bias_gradient", "dbias", dbias.tensor, dy);
  check_shape("linear_bias_gradient", "dbias", dbias.tensor, {dy.cols()});
  kernels_of(dy.device())
      .linear.bias_gradient(dy.device(),
                            {.dy = elements_of(dy), .dbias = target_of(dbias), .rows = dy.rows(), .out = dy.cols()});
}

}  // namespace tranche::ops
