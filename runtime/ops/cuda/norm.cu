#include "runtime/ops/cuda/columns.cuh"
#include "runtime/ops/cuda/table.h"
#include "runtime/ops/functors/norm.h"

namespace tranche::ops::cuda {

template <class T> struct LayerNormRow {
  LayerNormForward a;
  __device__ void operator()(const Block& block, std::size_t row) const {
    const std::size_t at = row * a.width;
    functors::layer_norm_row(block, a.width, a.x.as<const T>() + at, a.gain.as<const T>(), a.bias.as<const T>(),
                             a.epsilon, a.y.as<T>() + at, a.statistics + 2 * row);
  }
};
void layer_norm(Device& device, const LayerNormForward& a) {
  with_type(a.x.dtype, [&](auto type) { over_rows(device, a.rows, a.width, LayerNormRow<decltype(type)>{a}); });
}

template <class T> struct RmsNormRow {
  RmsNormForward a;
  __device__ void operator()(const Block& block, std::size_t row) const {
    const std::size_t at = row * a.width;
    functors::rms_norm_row(block, a.width, a.x.as<const T>() + at, a.gain.as<const T>(), a.epsilon, a.y.as<T>() + at,
                           a.statistics + row);
  }
};
void rms_norm(Device& device, const RmsNormForward& a) {
  with_type(a.x.dtype, [&](auto type) { over_rows(device, a.rows, a.width, RmsNormRow<decltype(type)>{a}); });
}

template <bool adds, class T> struct LayerNormGradientRow {
  NormInputGradient a;
  __device__ void operator()(const Block& block, std::size_t row) const {
    const std::size_t at = row * a.width;
    functors::layer_norm_gradient_row<adds>(block, a.width, a.dy.as<const T>() + at, a.x.as<const T>() + at,
                                            a.gain.as<const T>(), a.statistics + 2 * row, a.dx.as<T>() + at);
  }
};
void layer_norm_input_gradient(Device& device, const NormInputGradient& a) {
  with_target(a.dx, [&](auto type, auto mode) {
    over_rows(device, a.rows, a.width, LayerNormGradientRow<decltype(mode)::adds, decltype(type)>{a});
  });
}

template <bool adds, class T> struct RmsNormGradientRow {
  NormInputGradient a;
  __device__ void operator()(const Block& block, std::size_t row) const {
    const std::size_t at = row * a.width;
    functors::rms_norm_gradient_row<adds>(block, a.width, a.dy.as<const T>() + at, a.x.as<const T>() + at,
                                          a.gain.as<const T>(), a.statistics + row, a.dx.as<T>() + at);
  }
};
void rms_norm_input_gradient(Device& device, const NormInputGradient& a) {
  with_target(a.dx, [&](auto type, auto mode) {
    over_rows(device, a.rows, a.width, RmsNormGradientRow<decltype(mode)::adds, decltype(type)>{a});
  });
}

template <class T> struct LayerNormGainTerm {
  const T *dy, *x;
  const float* statistics;
  std::size_t width;
  __device__ float operator()(std::size_t row, std::size_t c) const {
    const std::size_t i = row * width + c;
    return to_float(dy[i]) * ((to_float(x[i]) - statistics[2 * row]) * statistics[2 * row + 1]);
  }
};
template <class T> struct BiasTerm {
  const T* dy;
  std::size_t width;
  __device__ float operator()(std::size_t row, std::size_t c) const { return to_float(dy[row * width + c]); }
};
void layer_norm_parameter_gradients(Device& device, const NormParameterGradients& a) {
  if (a.dgain)
    with_target(a.dgain, [&](auto type, auto mode) {
      using T = decltype(type);
      sum_rows<decltype(mode)::adds>(
          device, a.rows, a.width, a.dgain.as<T>(),
          LayerNormGainTerm<T>{a.dy.as<const T>(), a.x.as<const T>(), a.statistics, a.width});
    });
  if (a.dbias)
    with_target(a.dbias, [&](auto type, auto mode) {
      using T = decltype(type);
      sum_rows<decltype(mode)::adds>(device, a.rows, a.width, a.dbias.as<T>(),
                                     BiasTerm<T>{a.dy.as<const T>(), a.width});
    });
}

template <class T> struct RmsNormGainTerm {
  const T *dy, *x;
  const float* statistics;
  std::size_t width;
  __device__ float operator()(std::size_t row, std::size_t c) const {
    const std::size_t i = row * width + c;
    return to_float(dy[i]) * (to_float(x[i]) * statistics[row]);
  }
};
void rms_norm_parameter_gradient(Device& device, const NormParameterGradients& a) {
  with_target(a.dgain, [&](auto type, auto mode) {
    using T = decltype(type);
    sum_rows<decltype(mode)::adds>(device, a.rows, a.width, a.dgain.as<T>(),
                                   RmsNormGainTerm<T>{a.dy.as<const T>(), a.x.as<const T>(), a.statistics, a.width});
  });
}

NormKernels norm_kernels() {
  return {.layer_norm = layer_norm,
          .layer_norm_input_gradient = layer_norm_input_gradient,
          .layer_norm_parameter_gradients = layer_norm_parameter_gradients,
          .rms_norm = rms_norm,
          .rms_norm_input_gradient = rms_norm_input_gradient,
          .rms_norm_parameter_gradient = rms_norm_parameter_gradient};
}

}  // namespace tranche::ops::cuda
