#include "runtime/ops/norm.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {
namespace {

constexpr std::size_t layer_norm_statistics = 2, rms_norm_statistics = 1;  // numbers a row

void check_statistics(std::string_view op, const Tensor& statistics, const Tensor& x, std::size_t per_row) {
  check_array(op, "statistics", statistics, DType::float32, x.rows() * per_row, x);
}

// gain, bias and their gradients
void check_parameter(std::string_view op, std::string_view what, const Tensor& parameter, const Tensor& x) {
  check_alike(op, what, parameter, x);
  check_size(op, what, parameter, x.cols());
}

void check_input_gradient(std::string_view op, const Tensor& dy, const Tensor& x, const Tensor& gain,
                          const Tensor& statistics, const Destination& dx, std::size_t per_row) {
  check_floating(op, "x", x);
  check_same(op, "dy", dy, x);
  check_parameter(op, "gain", gain, x);
  check_statistics(op, statistics, x, per_row);
  check_same(op, "dx", dx.tensor, x);
}

NormInputGradient input_gradient_of(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& statistics,
                                    const Destination& dx) {
  return {.dy = elements_of(dy),
          .x = elements_of(x),
          .gain = elements_of(gain),
          .statistics = elements_of(statistics).as<const float>(),
          .dx = target_of(dx),
          .rows = x.rows(),
          .width = x.cols()};
}

}  // namespace

void layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, float epsilon, const Tensor& y,
                const Tensor& statistics) {
  check_floating("layer_norm", "x", x);
  check_parameter("layer_norm", "gain", gain, x);
  if (bias) check_parameter("layer_norm", "bias", bias, x);
  check_same("layer_norm", "y", y, x);
  check_statistics("layer_norm", statistics, x, layer_norm_statistics);
  kernels_of(x.device())
      .norm.layer_norm(x.device(), {.x = elements_of(x),
                                    .gain = elements_of(gain),
                                    .bias = elements_of(bias),
                                    .epsilon = epsilon,
                                    .y = elements_of(y),
                                    .statistics = elements_of(statistics).as<float>(),
                                    .rows = x.rows(),
                                    .width = x.cols()});
}

void layer_norm_input_gradient(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& statistics,
                               const Destination& dx) {
  if (!dx) return;
  check_input_gradient("layer_norm_input_gradient", dy, x, gain, statistics, dx, layer_norm_statistics);
  kernels_of(x.device()).norm.layer_norm_input_gradient(x.device(), input_gradient_of(dy, x, gain, statistics, dx));
}

void layer_norm_parameter_gradients(const Tensor& dy, const Tensor& x, const Tensor& statistics,
                                    const Destination& dgain, const Destination& dbias) {
  if (!dgain && !dbias) return;
  constexpr std::string_view op = "layer_norm_parameter_gradients";
  check_floating(op, "x", x);
  check_same(op, "dy", dy, x);
  check_statistics(op, statistics, x, layer_norm_statistics);
  if (dgain) check_parameter(op, "dgain", dgain.tensor, x);
  if (dbias) check_parameter(op, "dbias", dbias.tensor, x);
  kernels_of(x.device())
      .norm.layer_norm_parameter_gradients(x.device(), {.dy = elements_of(dy),
                                                        .x = elements_of(x),
                                                        .statistics = elements_of(statistics).as<const float>(),
                                                        .dgain = target_of(dgain),
                                                        .dbias = target_of(dbias),
                                                        .rows = x.rows(),
                                                        .width = x.cols()});
}

void rms_norm(const Tensor& x, const Tensor& gain, float epsilon, const Tensor& y, const Tensor& statistics) {
  check_floating("rms_norm", "x", x);
  check_parameter("rms_norm", "gain", gain, x);
  check_same("rms_norm", "y", y, x);
  check_statistics("rms_norm", statistics, x, rms_norm_statistics);
  kernels_of(x.device())
      .norm.rms_norm(x.device(), {.x = elements_of(x),
                                  .gain = elements_of(gain),
                                  .epsilon = epsilon,
                                  .y = elements_of(y),
                                  .statistics = elements_of(statistics).as<float>(),
                                  .rows = x.rows(),
                                  .width = x.cols()});
}

void rms_norm_input_gradient(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& statistics,
                             const Destination& dx) {
  if (!dx) return;
  check_input_gradient("rms_norm_input_gradient", dy, x, gain, statistics, dx, rms_norm_statistics);
  kernels_of(x.device()).norm.rms_norm_input_gradient(x.device(), input_gradient_of(dy, x, gain, statistics, dx));
}

void rms_norm_parameter_gradient(const Tensor& dy, const Tensor& x, const Tensor& statistics,
                                 const Destination& dgain) {
  if (!dgain) return;
  constexpr std::string_view op = "rms_norm_parameter_gradient";
  check_floating(op, "x", x);
  check_same(op, "dy", dy, x);
  check_statistics(op, statistics, x, rms_norm_statistics);
  check_parameter(op, "dgain", dgain.tensor, x);
  kernels_of(x.device())
      .norm.rms_norm_parameter_gradient(x.device(), {.dy = elements_of(dy),
                                                     .x = elements_of(x),
                                                     .statistics = elements_of(statistics).as<const float>(),
                                                     .dgain = target_of(dgain),
                                                     .dbias = {},
                                                     .rows = x.rows(),
                                                     .width = x.cols()});
}

}  // namespace tranche::ops
