// Normalisation of one row; the formulas are those of runtime/ops/norm.h. Block is what computes a row together:
// sum(n, f), each(n, f) over i < n, single(f) once.
#pragma once

#include "runtime/ops/functors/math.h"

namespace tranche::ops::functors {

// statistics: receives mean and 1 / standard deviation.  bias may be null.
template <class Block, class T>
TRANCHE_FUNCTOR void layer_norm_row(const Block& block, std::size_t width, const T* x, const T* gain, const T* bias,
                                    float epsilon, T* y, float* statistics) {
  const float count = static_cast<float>(width);
  const float mean = block.sum(width, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return to_float(x[i]); }) / count;
  const float variance = block.sum(width, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float d = to_float(x[i]) - mean;
    return d * d;
  }) / count;
  const float rstd = 1.0f / square_root(variance + epsilon);
  if (bias != nullptr) {
    block.each(width, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
      put<false>(y[i], to_float(gain[i]) * ((to_float(x[i]) - mean) * rstd) + to_float(bias[i]));
    });
  } else {
    block.each(width, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
      put<false>(y[i], to_float(gain[i]) * ((to_float(x[i]) - mean) * rstd));
    });
  }
  block.single([&]() TRANCHE_ALWAYS_INLINE {
    statistics[0] = mean;
    statistics[1] = rstd;
  });
}

// With n = (x - mean) rstd and g = gain dy:  dx = rstd (g - mean(g) - n mean(g n))
template <bool adds, class Block, class T>
TRANCHE_FUNCTOR void layer_norm_gradient_row(const Block& block, std::size_t width, const T* dy, const T* x,
                                             const T* gain, const float* statistics, T* dx) {
  const float mean = statistics[0], rstd = statistics[1], count = static_cast<float>(width);
  const float mean_g = block.sum(width, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    return to_float(gain[i]) * to_float(dy[i]);
  }) / count;
  const float mean_gn = block.sum(width, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    return to_float(gain[i]) * to_float(dy[i]) * ((to_float(x[i]) - mean) * rstd);
  }) / count;
  block.each(width, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float n = (to_float(x[i]) - mean) * rstd;
    put<adds>(dx[i], rstd * (to_float(gain[i]) * to_float(dy[i]) - mean_g - n * mean_gn));
  });
}

// statistics: receives 1 / root mean square.
template <class Block, class T>
TRANCHE_FUNCTOR void rms_norm_row(const Block& block, std::size_t width, const T* x, const T* gain, float epsilon, T* y,
                                  float* statistics) {
  const float square = block.sum(width, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    return to_float(x[i]) * to_float(x[i]);
  }) / static_cast<float>(width);
  const float rstd = 1.0f / square_root(square + epsilon);
  block.each(width, [&](std::size_t i)
                        TRANCHE_ALWAYS_INLINE { put<false>(y[i], to_float(gain[i]) * (to_float(x[i]) * rstd)); });
  block.single([&]() TRANCHE_ALWAYS_INLINE { *statistics = rstd; });
}

// With n = x rstd and g = gain dy:  dx = rstd (g - n mean(g n))
template <bool adds, class Block, class T>
TRANCHE_FUNCTOR void rms_norm_gradient_row(const Block& block, std::size_t width, const T* dy, const T* x,
                                           const T* gain, const float* statistics, T* dx) {
  const float rstd = *statistics;
  const float mean_gn = block.sum(width, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    return to_float(gain[i]) * to_float(dy[i]) * (to_float(x[i]) * rstd);
  }) / static_cast<float>(width);
  block.each(width, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float n = to_float(x[i]) * rstd;
    put<adds>(dx[i], rstd * (to_float(gain[i]) * to_float(dy[i]) - n * mean_gn));
  });
}

}  // namespace tranche::ops::functors
