#include "runtime/ops/sign_linear.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {
namespace {

SignElements sign_elements_of(std::string_view op, const SignRows& signs) {
  check_dtype(op, "signs", signs.bits, DType::uint8);
  check_size(op, "signs", signs.bits, sign_bytes(signs.rows, signs.cols));
  check_array(op, "scales of signs", signs.scales, DType::float32, signs.rows, signs.bits);
  return {reinterpret_cast<std::uint64_t*>(signs.bits.data()), elements_of(signs.scales).as<float>(), signs.rows,
          signs.cols};
}

}  // namespace

void take_signs(const Tensor& x, SignScale scale, const SignRows& signs) {
  constexpr std::string_view op = "take_signs";
  check_dtype(op, "x", x, DType::float32);
  check_matrix(op, "x", x, signs.rows, signs.cols);
  check_device(op, "signs", signs.bits, x);
  kernels_of(x.device()).signs.take(x.device(), {elements_of(x).as<const float>(), sign_elements_of(op, signs), scale});
}

void sign_linear(const Tensor& x, SignScale scale, const SignRows& weight, const Tensor& bias, const Tensor& y) {
  constexpr std::string_view op = "sign_linear";
  const std::size_t rows = x.rows();
  check(x.cols() == weight.cols && weight.cols < (std::size_t{1} << 31), op, ": input has ", x.cols(),
        " features, weight expects ", weight.cols);
  if (bias) check_array(op, "bias", bias, DType::float32, weight.rows, x);
  check_alike(op, "output", y, x);
  check_matrix(op, "output", y, rows, weight.rows);
  const SignRows signs{rows, x.cols(), x.sibling("signs of an input", {sign_bytes(rows, x.cols())}, DType::uint8),
                       x.sibling("scales of an input", {rows}, DType::float32)};
  take_signs(x, scale, signs);
  kernels_of(x.device())
      .signs.product(x.device(), {.x = sign_elements_of(op, signs),
                                  .weight = sign_elements_of(op, weight),
                                  .bias = elements_of(bias).as<const float>(),
                                  .y = elements_of(y).as<float>()});
}

}  // namespace tranche::ops
