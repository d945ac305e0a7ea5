#include "runtime/ops/kernels/norm.h"
#include "runtime/base/round.h"

#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/norm.h"
#include "runtime/ops/workspace.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

using functors::put;

void layer_norm(Device& device, const LayerNormForward& a) {
  with_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    over_rows(device, a.rows, a.width, [&](std::size_t row) {
      const std::size_t at = row * a.width;
      functors::layer_norm_row(Block{}, a.width, a.x.as<const T>() + at, a.gain.as<const T>(), a.bias.as<const T>(),
                               a.epsilon, a.y.as<T>() + at, a.statistics + 2 * row);
    });
  });
}

void rms_norm(Device& device, const RmsNormForward& a) {
  with_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    over_rows(device, a.rows, a.width, [&](std::size_t row) {
      const std::size_t at = row * a.width;
      functors::rms_norm_row(Block{}, a.width, a.x.as<const T>() + at, a.gain.as<const T>(), a.epsilon,
                             a.y.as<T>() + at, a.statistics + row);
    });
  });
}

void layer_norm_input_gradient(Device& device, const NormInputGradient& a) {
  with_target(a.dx, [&](auto type, auto mode) {
    using T = decltype(type);
    over_rows(device, a.rows, a.width, [&](std::size_t row) {
      const std::size_t at = row * a.width;
      functors::layer_norm_gradient_row<mode.adds>(Block{}, a.width, a.dy.as<const T>() + at, a.x.as<const T>() + at,
                                                   a.gain.as<const T>(), a.statistics + 2 * row, a.dx.as<T>() + at);
    });
  });
}

void rms_norm_input_gradient(Device& device, const NormInputGradient& a) {
  with_target(a.dx, [&](auto type, auto mode) {
    using T = decltype(type);
    over_rows(device, a.rows, a.width, [&](std::size_t row) {
      const std::size_t at = row * a.width;
      functors::rms_norm_gradient_row<mode.adds>(Block{}, a.width, a.dy.as<const T>() + at, a.x.as<const T>() + at,
                                                 a.gain.as<const T>(), a.statistics + row, a.dx.as<T>() + at);
    });
  });
}

// target[c] = the sum over rows of term(row, c), in an order that the shape fixes: rows one after another within blocks
// of 64, then the blocks' sums one after another. Threads take blocks, then columns.
template <bool adds, class T, class Term>
void sum_rows(Device& device, std::size_t rows, std::size_t width, T* target, const Term& term) {
  constexpr std::size_t strip = 256;
  const std::size_t blocks = pieces_of(rows, block_rows);
  const Buffer scratch = row_sums_workspace(device, rows, width);
  float* partial = reinterpret_cast<float*>(scratch.data());
  in_pieces(device, rows, block_rows, [&](std::size_t first, std::size_t count) {
    float* sum = partial + first / block_rows * width;
    __builtin_memset(sum, 0, width * sizeof(float));
    for (std::size_t row = first; row < first + count; ++row)
      Block{}.each(width, [&](std::size_t c) TRANCHE_ALWAYS_INLINE { sum[c] += term(row, c); });
  });
  in_pieces(device, width, strip, [&](std::size_t first, std::size_t count) {
    alignas(64) float sum[strip] = {};
    for (std::size_t b = 0; b < blocks; ++b) {
      const float* from = partial + b * width + first;
      Block{}.each(count, [&](std::size_t c) TRANCHE_ALWAYS_INLINE { sum[c] += from[c]; });
    }
    Block{}.each(count, [&](std::size_t c) TRANCHE_ALWAYS_INLINE { put<adds>(target[first + c], sum[c]); });
  });
}

void layer_norm_parameter_gradients(Device& device, const NormParameterGradients& a) {
  if (a.dgain) {
    with_target(a.dgain, [&](auto type, auto mode) {
      using T = decltype(type);
      const T *dy = a.dy.as<const T>(), *x = a.x.as<const T>();
      sum_rows<mode.adds>(
          device, a.rows, a.width, a.dgain.as<T>(), [&](std::size_t row, std::size_t c) TRANCHE_ALWAYS_INLINE {
            const std::size_t i = row * a.width + c;
            return to_float(dy[i]) * ((to_float(x[i]) - a.statistics[2 * row]) * a.statistics[2 * row + 1]);
          });
    });
  }
  if (a.dbias) {
    with_target(a.dbias, [&](auto type, auto mode) {
      using T = decltype(type);
      const T* dy = a.dy.as<const T>();
      sum_rows<mode.adds>(device, a.rows, a.width, a.dbias.as<T>(),
                          [&](std::size_t row, std::size_t c)
                              TRANCHE_ALWAYS_INLINE { return to_float(dy[row * a.width + c]); });
    });
  }
}

void rms_norm_parameter_gradient(Device& device, const NormParameterGradients& a) {
  with_target(a.dgain, [&](auto type, auto mode) {
    using T = decltype(type);
    const T *dy = a.dy.as<const T>(), *x = a.x.as<const T>();
    sum_rows<mode.adds>(device, a.rows, a.width, a.dgain.as<T>(),
                        [&](std::size_t row, std::size_t c) TRANCHE_ALWAYS_INLINE {
                          const std::size_t i = row * a.width + c;
                          return to_float(dy[i]) * (to_float(x[i]) * a.statistics[row]);
                        });
  });
}

}  // namespace

NormKernels norm_kernels();
NormKernels norm_kernels() {
  return {.layer_norm = layer_norm,
          .layer_norm_input_gradient = layer_norm_input_gradient,
          .layer_norm_parameter_gradients = layer_norm_parameter_gradients,
          .rms_norm = rms_norm,
          .rms_norm_input_gradient = rms_norm_input_gradient,
          .rms_norm_parameter_gradient = rms_norm_parameter_gradient};
}

}  // namespace tranche::ops::TRANCHE_PATH
