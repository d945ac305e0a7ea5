#include "runtime/ops/packed_linear.h"

#include "runtime/ops/indices.h"

namespace tranche::ops {
namespace {

PackedElements packed_elements_of(std::string_view op, const PackedWeight& weight) {
  const PackedShape& shape = weight.shape;
  check(shape.group > 0 && (shape.bits == 8 || shape.bits == 4 || shape.bits == 2), op, ": a weight of ", shape.bits,
        " bits in groups of ", shape.group);
  check_dtype(op, "values", weight.values, DType::uint8);
  check_size(op, "values", weight.values, shape.bytes());
  check_dtype(op, "scales", weight.scales, DType::float32);
  check_size(op, "scales", weight.scales, shape.scales());
  check_dtype(op, "sums", weight.sums, DType::int32);
  check_size(op, "sums", weight.sums, shape.scales());
  return {weight.values.data(), elements_of(weight.scales).as<float>(), elements_of(weight.sums).as<std::int32_t>(),
          shape};
}

struct QuantizedInput {
  Tensor x;                 // as a matrix
  Tensor q, scales, zeros;  // zeros: none of words
};

QuantizedInput input_for(const Tensor& x, ActivationForm form, const PackedWeight& weight) {
  constexpr std::string_view op = "packed_linear";
  const std::size_t rows = x.rows(), planes = form == ActivationForm::words ? 2 : 1;
  check(x.cols() == weight.shape.in, op, ": input has ", x.cols(), " features, weight expects ", weight.shape.in);
  check_packed_shape(op, weight.shape, form);
  check_dtype(op, "input", x, DType::float32);
  return {x.view(0, {rows, weight.shape.in}),
          x.sibling("quantized input", {planes * rows, weight.shape.padded_in()}, DType::uint8),
          x.sibling("input scales", {rows}, DType::float32),
          form == ActivationForm::bytes ? x.sibling("input zeros", {rows}, DType::int32) : Tensor{}};
}

void multiply(const QuantizedInput& input, const PackedWeight& weight, const Tensor& bias, const Tensor& y) {
  constexpr std::string_view op = "packed_linear";
  const std::size_t rows = input.x.rows(), out = weight.shape.out;
  if (bias) {
    check_alike(op, "bias", bias, input.x);
    check_shape(op, "bias", bias, {out});
  }
  check_alike(op, "output", y, input.x);
  check_matrix(op, "output", y, rows, out);
  kernels_of(y.device())
      .packed.product(y.device(), {.q = elements_of(input.q).as<const std::uint8_t>(),
                                   .scales = elements_of(input.scales).as<const float>(),
                                   .zeros = elements_of(input.zeros).as<const std::int32_t>(),
                                   .weight = packed_elements_of(op, weight),
                                   .bias = elements_of(bias).as<const float>(),
                                   .y = elements_of(y).as<float>(),
                                   .rows = rows});
}

}  // namespace

void check_packed_shape(std::string_view what, const PackedShape& shape, ActivationForm form) {
  if (form == ActivationForm::bytes)
    check(shape.groups() == 1 && shape.in <= 65536, what, ": ", shape.in, " columns in groups of ", shape.group,
          ", expected one group of at most 65536");
  else
    check(shape.group % shape.granule() == 0 && shape.group <= 128, what, ": groups of ", shape.group,
          ", expected a multiple of ", shape.granule(), " up to 128");
}

void pack_weight(const Tensor& q, const Tensor& scales, const PackedWeight& weight) {
  constexpr std::string_view op = "pack_weight";
  const PackedShape& shape = weight.shape;
  const PackedElements into = packed_elements_of(op, weight);
  check_dtype(op, "q", q, DType::int8);
  check_matrix(op, "q", q, shape.out, shape.in);
  check_dtype(op, "scales", scales, DType::float32);
  check_size(op, "scales", scales, shape.out * shape.groups());
  kernels_of(q.device())
      .packed.pack(q.device(), {.q = elements_of(q).as<const std::int8_t>(),
                                .scales = elements_of(scales).as<const float>(),
                                .weight = into});
}

void packed_linear(const Tensor& x, ActivationForm form, const PackedWeight& weight, const Tensor& bias,
                   const Tensor& y) {
  const QuantizedInput input = input_for(x, form, weight);
  if (form == ActivationForm::bytes)
    quantize_rows(input.x, input.q, input.scales, input.zeros);
  else
    kernels_of(x.device())
        .packed.split_rows(x.device(), {.x = elements_of(x).as<const float>(),
                                        .q = elements_of(input.q).as<std::uint8_t>(),
                                        .scales = elements_of(input.scales).as<float>(),
                                        .rows = input.x.rows(),
                                        .cols = input.x.cols(),
                                        .stride = input.q.cols()});
  multiply(input, weight, bias, y);
}

void packed_linear(const Tensor& x, float scale, std::int32_t zero, const PackedWeight& weight, const Tensor& bias,
                   const Tensor& y) {
  const QuantizedInput input = input_for(x, ActivationForm::bytes, weight);
  quantize_rows_with(scale, zero, input.x, input.q, input.scales, input.zeros);
  multiply(input, weight, bias, y);
}

void packed_rows(const Tensor& numbers, const PackedWeight& table, const Tensor& y) {
  constexpr std::string_view op = "packed_rows";
  check_rows(op, numbers, table.shape.out, table.shape.in, y);
  kernels_of(y.device())
      .packed.rows(y.device(), {.numbers = elements_of(numbers).as<const std::int32_t>(),
                                .table = packed_elements_of(op, table),
                                .y = elements_of(y).as<float>(),
                                .count = numbers.size()});
}

}  // namespace tranche::ops
