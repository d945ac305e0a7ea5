// Products with weights, by tiles in shared memory: what cuBLASLt will be compared with, and what computes where it is
// not. Every element is one chain of fused multiply-adds in the order of the inner dimension, whatever the sizes around
// it.
#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

// A thread computes 4 x 4 elements, 16 apart, of a tile of 64 x 64; 16 of the inner dimension lie in shared memory.
inline constexpr unsigned product_side = 64, product_piece = 16, across = 16, each_way = product_side / across;

// Element (i, j) at data[i * row + j * col].
template <class T> struct Matrix {
  const T* data;
  std::size_t row, col;
  __device__ float at(std::size_t i, std::size_t j) const { return to_float(data[i * row + j * col]); }
};

// c = a b + bias.  a: (m, k), b: (k, n), c: (m, n), bias: (n) or null
template <class T> struct Product {
  Matrix<T> a, b;
  const T* bias;
  T* c;
  std::size_t m, n, k;
};

template <bool adds, class T> __global__ void product_kernel(Product<T> p) {
  TRANCHE_SHARED(float, a_tile, product_piece*(product_side + 1));
  TRANCHE_SHARED(float, b_tile, product_piece*(product_side + 1));
  const std::size_t tiles = pieces_of(p.n, product_side);
  const std::size_t first_row = blockIdx.x / tiles * product_side, first_col = blockIdx.x % tiles * product_side;
  const unsigned y = threadIdx.x / across, x = threadIdx.x % across;
  float sums[each_way][each_way] = {};
  for (std::size_t begin = 0; begin < p.k; begin += product_piece) {
    __syncthreads();  // after the reads before
    for (unsigned i = threadIdx.x; i < product_side * product_piece; i += across * across) {
      // Neighbouring threads read neighbouring elements: along the rows or down the columns.
      const unsigned ar = p.a.col == 1 ? i / product_piece : i % product_side;
      const unsigned ak = p.a.col == 1 ? i % product_piece : i / product_side;
      const unsigned bc = p.b.col == 1 ? i % product_side : i / product_piece;
      const unsigned bk = p.b.col == 1 ? i / product_side : i % product_piece;
      a_tile[ak * (product_side + 1) + ar] =
          first_row + ar < p.m && begin + ak < p.k ? p.a.at(first_row + ar, begin + ak) : 0.0f;
      b_tile[bk * (product_side + 1) + bc] =
          first_col + bc < p.n && begin + bk < p.k ? p.b.at(begin + bk, first_col + bc) : 0.0f;
    }
    __syncthreads();
    const unsigned count = p.k - begin < product_piece ? static_cast<unsigned>(p.k - begin) : product_piece;
    for (unsigned k = 0; k < count; ++k) {
      float a[each_way], b[each_way];
      TRANCHE_UNROLL
      for (unsigned i = 0; i < each_way; ++i) {
        a[i] = a_tile[k * (product_side + 1) + y + i * across];
        b[i] = b_tile[k * (product_side + 1) + x + i * across];
      }
      TRANCHE_UNROLL
      for (unsigned i = 0; i < each_way; ++i) {
        TRANCHE_UNROLL
        for (unsigned j = 0; j < each_way; ++j) sums[i][j] = TRANCHE_FUSED(a[i], b[j], sums[i][j]);
      }
    }
  }
  TRANCHE_UNROLL
  for (unsigned i = 0; i < each_way; ++i) {
    TRANCHE_UNROLL
    for (unsigned j = 0; j < each_way; ++j) {
      const std::size_t row = first_row + y + i * across, col = first_col + x + j * across;
      if (row < p.m && col < p.n)
        functors::put<adds>(p.c[row * p.n + col], p.bias != nullptr ? sums[i][j] + to_float(p.bias[col]) : sums[i][j]);
    }
  }
}
template <bool adds, class T> void multiply(Device& device, const Product<T>& p) {
  const std::size_t tiles = pieces_of(p.m, product_side) * pieces_of(p.n, product_side);
  if (tiles == 0) return;
  TRANCHE_LAUNCH((product_kernel<adds, T>), static_cast<unsigned>(tiles), across * across, stream_of(device), p);
}

void linear(Device& device, const LinearForward& f) {
  with_type(f.y.dtype, [&](auto type) {
    using T = decltype(type);
    multiply<false>(device, Product<T>{.a = {f.x.as<const T>(), f.in, 1},
                                       .b = {f.weight.as<const T>(), 1, f.in},
                                       .bias = f.bias.as<const T>(),
                                       .c = f.y.as<T>(),
                                       .m = f.rows,
                                       .n = f.out,
                                       .k = f.in});
  });
}
void linear_input_gradient(Device& device, const LinearInputGradient& g) {
  with_target(g.dx, [&](auto type, auto mode) {
    using T = decltype(type);
    multiply<decltype(mode)::adds>(device, Product<T>{.a = {g.dy.as<const T>(), g.out, 1},
                                                      .b = {g.weight.as<const T>(), g.in, 1},
                                                      .bias = nullptr,
                                                      .c = g.dx.as<T>(),
                                                      .m = g.rows,
                                                      .n = g.in,
                                                      .k = g.out});
  });
}
void linear_weight_gradient(Device& device, const LinearWeightGradient& g) {
  with_target(g.dweight, [&](auto type, auto mode) {
    using T = decltype(type);
    multiply<decltype(mode)::adds>(device, Product<T>{.a = {g.dy.as<const T>(), 1, g.out},
                                                      .b = {g.x.as<const T>(), g.in, 1},
                                                      .bias = nullptr,
                                                      .c = g.dweight.as<T>(),
                                                      .m = g.out,
                                                      .n = g.in,
                                                      .k = g.rows});
  });
}

template <bool adds, class T> struct SumColumn {
  const T* dy;
  T* dbias;
  std::size_t rows, out;
  __device__ void operator()(std::size_t c) const {
    float sum = 0;
    for (std::size_t row = 0; row < rows; ++row) sum += to_float(dy[row * out + c]);
    functors::put<adds>(dbias[c], sum);
  }
};
void linear_bias_gradient(Device& device, const LinearBiasGradient& g) {
  with_target(g.dbias, [&](auto type, auto mode) {
    using T = decltype(type);
    over_elements(device, g.out,
                  SumColumn<decltype(mode)::adds, T>{g.dy.as<const T>(), g.dbias.as<T>(), g.rows, g.out});
  });
}

LinearKernels linear_kernels() {
  return {.forward = linear,
          .input_gradient = linear_input_gradient,
          .weight_gradient = linear_weight_gradient,
          .bias_gradient = linear_bias_gradient};
}

}  // namespace tranche::ops::cuda
