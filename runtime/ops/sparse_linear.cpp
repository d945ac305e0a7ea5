#include "runtime/ops/sparse_linear.h"

#include "runtime/ops/indices.h"
#include "runtime/ops/linear.h"

namespace tranche::ops {
namespace {

constexpr std::size_t place_bytes = sizeof(std::uint16_t), start_bytes = sizeof(std::uint64_t);

SparseElements sparse_elements_of(std::string_view op, const SparseWeight& weight) {
  const SparseShape& shape = weight.shape;
  check_dtype(op, "places", weight.places, DType::uint8);
  check_size(op, "places", weight.places, shape.blocks() * shape.in * place_bytes);
  check_dtype(op, "starts", weight.starts, DType::uint8);
  check_size(op, "starts", weight.starts, (shape.blocks() + 1) * start_bytes);
  return {reinterpret_cast<std::uint16_t*>(weight.places.data()),
          reinterpret_cast<std::uint64_t*>(weight.starts.data()), elements_of(weight.values).as<float>(), shape};
}

}  // namespace

SparseWeight without_zeros(const Tensor& dense, const std::string& name) {
  constexpr std::string_view op = "without_zeros";
  check_dtype(op, "dense", dense, DType::float32);
  check(dense.shape().dimensions() == 2, op, ": ", name, " has shape ", dense.shape(), ", expected a matrix");
  Device& device = dense.device();
  const SparseKernels& kernels = kernels_of(device).sparse;
  const SparseShape shape{dense.rows(), dense.cols()};
  const auto tensor = [&](const char* what, std::size_t size, DType dtype) {
    return Tensor::empty(device, name + what, Category::parameters, {size}, dtype);
  };
  SparseWeight weight{shape, tensor(" places", shape.blocks() * shape.in * place_bytes, DType::uint8),
                      tensor(" starts", (shape.blocks() + 1) * start_bytes, DType::uint8), Tensor{}};
  const float* from = elements_of(dense).as<const float>();
  kernels.find(device, {from, sparse_elements_of(op, weight)});
  std::uint64_t there = 0;
  device.read(weight.starts.data() + shape.blocks() * start_bytes, std::as_writable_bytes(std::span{&there, 1}));
  weight.values = tensor("", there + SparseShape::block, DType::float32);
  kernels.store(device, {from, sparse_elements_of(op, weight)});
  return weight;
}

void sparse_linear(const Tensor& x, const SparseWeight& weight, const Tensor& bias, const Tensor& y) {
  constexpr std::string_view op = "sparse_linear";
  const std::size_t rows = x.rows(), out = weight.shape.out, in = weight.shape.in;
  check(x.cols() == in, op, ": input has ", x.cols(), " features, weight expects ", in);
  check_dtype(op, "input", x, DType::float32);
  check_device(op, "weight", weight.values, x);
  if (bias) check_array(op, "bias", bias, DType::float32, out, x);
  check_alike(op, "output", y, x);
  check_matrix(op, "output", y, rows, out);
  const SparseKernels& kernels = kernels_of(x.device()).sparse;
  const SparseElements elements = sparse_elements_of(op, weight);
  if (rows <= few_rows)
    return kernels.product(x.device(), {.x = elements_of(x).as<const float>(),
                                        .weight = elements,
                                        .bias = elements_of(bias).as<const float>(),
                                        .y = elements_of(y).as<float>(),
                                        .rows = rows});
  const Tensor whole =
      Tensor::empty(x.device(), "weight with its zeros", Category::workspace, {out, in}, DType::float32);
  kernels.expand(x.device(), {elements, elements_of(whole).as<float>()});
  linear(x, whole, bias, y);
}

void sparse_rows(const Tensor& numbers, const SparseWeight& table, const Tensor& y) {
  constexpr std::string_view op = "sparse_rows";
  check_rows(op, numbers, table.shape.out, table.shape.in, y);
  kernels_of(y.device())
      .sparse.rows(y.device(), {.numbers = elements_of(numbers).as<const std::int32_t>(),
                                .table = sparse_elements_of(op, table),
                                .y = elements_of(y).as<float>(),
                                .count = numbers.size()});
}

}  // namespace tranche::ops
