// What the op functions share: from tensors to a kernel's arguments, and the checks that they make once.
#pragma once

#include <string_view>

#include "runtime/ops/destination.h"
#include "runtime/ops/kernels/elements.h"

namespace tranche::ops {

inline Elements elements_of(const Tensor& tensor) {
  return tensor ? Elements{tensor.data(), tensor.dtype()} : Elements{};
}
inline Target target_of(const Destination& destination) {
  return {elements_of(destination.tensor), destination.holds_values};
}

// "linear: bias has shape [48], expected [64]"
inline void check_shape(std::string_view op, std::string_view what, const Tensor& tensor, const Shape& expected) {
  check(tensor.shape() == expected, op, ": ", what, " has shape ", tensor.shape(), ", expected ", expected);
}
// As a matrix: leading dimensions count as rows.
inline void check_matrix(std::string_view op, std::string_view what, const Tensor& tensor, std::size_t rows,
                         std::size_t cols) {
  check(tensor.rows() == rows && tensor.cols() == cols, op, ": ", what, " has shape ", tensor.shape(), ", expected ",
        Shape{rows, cols});
}
inline void check_dtype(std::string_view op, std::string_view what, const Tensor& tensor, DType expected) {
  check(tensor.dtype() == expected, op, ": ", what, " is ", name_of(tensor.dtype()), ", expected ", name_of(expected));
}
// float32, bfloat16 or float16
inline void check_floating(std::string_view op, std::string_view what, const Tensor& tensor) {
  check(is_floating(tensor.dtype()), op, ": ", what, " is ", name_of(tensor.dtype()),
        ", expected float32, bfloat16 or float16");
}
inline void check_size(std::string_view op, std::string_view what, const Tensor& tensor, std::size_t expected) {
  check(tensor.size() == expected, op, ": ", what, " has shape ", tensor.shape(), ", expected ", expected, " elements");
}
inline void check_device(std::string_view op, std::string_view what, const Tensor& tensor, const Tensor& like) {
  check(&tensor.device() == &like.device(), op, ": ", what, " is on another device");
}
// Of this dtype and size, on the device of `like`.
inline void check_array(std::string_view op, std::string_view what, const Tensor& tensor, DType dtype, std::size_t size,
                        const Tensor& like) {
  check_dtype(op, what, tensor, dtype);
  check_size(op, what, tensor, size);
  check_device(op, what, tensor, like);
}
// Of one device and one dtype with `like`.
inline void check_alike(std::string_view op, std::string_view what, const Tensor& tensor, const Tensor& like) {
  check_dtype(op, what, tensor, like.dtype());
  check_device(op, what, tensor, like);
}
// Of one device, one dtype and one size with `like`.
inline void check_same(std::string_view op, std::string_view what, const Tensor& tensor, const Tensor& like) {
  check_alike(op, what, tensor, like);
  check_size(op, what, tensor, like.size());
}

}  // namespace tranche::ops
