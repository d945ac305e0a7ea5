#include "runtime/ops/cuda/blas_linear.h"

#include <utility>

#include "runtime/ops/cuda/cublas.h"
#include "runtime/ops/cuda/stream.h"
#include "runtime/ops/cuda/table.h"

// A matrix whose rows lie one after another is, column by column, its transpose: of y = x weight^T, cuBLASLt sees
// y^T = weight x^T.
namespace tranche::ops::cuda {
namespace {

bool multiplies(Device& device, const BlasProduct& p) {
  return p.m != 0 && p.n != 0 && p.k != 0 && multiply(p, stream_of(device));
}

BlasProduct product_of(const LinearForward& f) {
  return {.dtype = f.y.dtype,
          .transposes_a = true,
          .transposes_b = false,
          .adds = false,
          .m = f.out,
          .n = f.rows,
          .k = f.in,
          .a = f.weight.data,
          .b = f.x.data,
          .bias = f.bias.data,
          .d = f.y.data};
}

void linear(Device& device, const LinearForward& f) {
  if (!multiplies(device, product_of(f))) linear_kernels().forward(device, f);
}

// The library's GELU is the tanh form, in arithmetic whose error NVIDIA does not state. Half precision rounds away as
// much as the fastest tanh of a GPU loses (2^-11); float32 would show it, and keeps ours (decisions/0021).
bool linear_activated(Device& device, const LinearActivated& a) {
  if (a.kind != Activation::gelu_tanh || a.product.y.dtype == DType::float32) return false;
  BlasProduct product = product_of(a.product);
  product.before = std::exchange(product.d, a.activated.data);
  return multiplies(device, product);
}

void linear_input_gradient(Device& device, const LinearInputGradient& g) {
  if (!multiplies(device, {.dtype = g.dx.dtype,
                           .transposes_a = false,
                           .transposes_b = false,
                           .adds = g.dx.holds_values,
                           .m = g.in,
                           .n = g.rows,
                           .k = g.out,
                           .a = g.weight.data,
                           .b = g.dy.data,
                           .bias = nullptr,
                           .d = g.dx.data}))
    linear_kernels().input_gradient(device, g);
}

void linear_weight_gradient(Device& device, const LinearWeightGradient& g) {
  if (!multiplies(device, {.dtype = g.dweight.dtype,
                           .transposes_a = false,
                           .transposes_b = true,
                           .adds = g.dweight.holds_values,
                           .m = g.in,
                           .n = g.out,
                           .k = g.rows,
                           .a = g.x.data,
                           .b = g.dy.data,
                           .bias = nullptr,
                           .d = g.dweight.data}))
    linear_kernels().weight_gradient(device, g);
}

}  // namespace

const Kernels& kernels_with_blas() {
  static const Kernels table = [] {
    Kernels all = cuda_kernels();
    all.linear.forward = linear;
    all.linear.input_gradient = linear_input_gradient;
    all.linear.weight_gradient = linear_weight_gradient;
    all.linear.activated = linear_activated;
    return all;
  }();
  return table;
}

}  // namespace tranche::ops::cuda
