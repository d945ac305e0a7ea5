#include "runtime/ops/kernels/fake_quantize.h"
#include "runtime/ops/cpu/levels.h"
#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/functor.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

using functors::put;

TRANCHE_INLINE float magnitude(float x) { return x < 0 ? -x : x; }

// 0, or NaN if a value is not finite: a maximum passes over NaN, a sum of products with 0 does not.
template <class T> TRANCHE_INLINE float poison_of(const T* x, std::size_t count) {
  return Block{}.sum(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return to_float(x[i]) * 0.0f; });
}
template <class T> TRANCHE_INLINE float greatest(const T* x, std::size_t count) {
  return Block{}.max(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return to_float(x[i]); });
}
template <class T> TRANCHE_INLINE float least(const T* x, std::size_t count) {
  return -Block{}.max(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return -to_float(x[i]); });
}
template <class T> TRANCHE_INLINE double sum_of_magnitudes(const T* x, std::size_t count) {
  return Block{}.sum(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return double{magnitude(to_float(x[i]))}; });
}

// y = (clamp(round((x - zero) / scale), low, high)) * scale + zero
template <class T>
TRANCHE_INLINE void on_levels(const T* x, float scale, float zero, float low, float high, T* y, std::size_t count) {
  Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    put<false>(y[i], to_nearest(clamped((to_float(x[i]) - zero) / scale, low, high)) * scale + zero);
  });
}

template <class T> TRANCHE_INLINE void fill(T* y, float value, std::size_t count) {
  Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { put<false>(y[i], value); });
}

// Each returns the scale. `steps` is 2^bits.
template <class T> TRANCHE_INLINE float symmetric(const T* x, float steps, T* y, std::size_t count) {
  const float largest = larger(greatest(x, count), -least(x, count));
  const float scale = 2 * largest / steps;
  on_levels(x, scale, 0, -steps / 2, steps / 2 - 1, y, count);
  return scale;
}

template <class T> TRANCHE_INLINE float affine(const T* x, float steps, T* y, std::size_t count) {
  const float low = least(x, count), scale = (greatest(x, count) - low) / steps;
  const float zero = to_nearest(clamped(low / scale, -0x1p22f, 0x1p22f)) * scale;
  on_levels(x, scale, zero, 0, steps - 1, y, count);
  return scale;
}

template <class T> TRANCHE_INLINE float ternary(const T* x, T* y, std::size_t count) {
  const auto threshold = static_cast<float>(0.7 * sum_of_magnitudes(x, count) / static_cast<double>(count));
  const double beyond = Block{}.sum(
      count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return magnitude(to_float(x[i])) > threshold ? 1.0 : 0.0; });
  const double sum = Block{}.sum(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float size = magnitude(to_float(x[i]));
    return size > threshold ? double{size} : 0.0;
  });
  const auto scale = static_cast<float>(sum / beyond);
  Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float value = to_float(x[i]);
    put<false>(y[i], value > threshold ? scale : value < -threshold ? -scale : 0.0f);
  });
  return scale;
}

template <class T> TRANCHE_INLINE float binary(const T* x, T* y, std::size_t count) {
  const auto scale = static_cast<float>(sum_of_magnitudes(x, count) / static_cast<double>(count));
  Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    const float value = to_float(x[i]);
    put<false>(y[i], value > 0 ? scale : value < 0 ? -scale : 0.0f);
  });
  return scale;
}

// quantize_row and back, operation for operation.
template <class T> TRANCHE_INLINE float widened(const T* x, float steps, T* y, std::size_t count) {
  const float high = larger(greatest(x, count), 0.0f), low = -larger(-least(x, count), 0.0f);
  const float scale = (high - low) / (steps - 1);
  const float zero = to_nearest(clamped(-low / scale, 0.0f, steps - 1));
  Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    put<false>(y[i], to_nearest(clamped(to_float(x[i]) / scale, -zero, steps - 1 - zero)) * scale);
  });
  return scale;
}

template <class T> TRANCHE_INLINE float group_of(FakeForm form, unsigned bits, const T* x, T* y, std::size_t count) {
  const float poison = poison_of(x, count);
  if (!(poison == 0)) {
    fill(y, poison, count);
    return poison;
  }
  if (greatest(x, count) == least(x, count) && (form == FakeForm::affine || to_float(x[0]) == 0)) {
    Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { y[i] = x[i]; });
    return 1;
  }
  const auto steps = static_cast<float>(1u << bits);
  switch (form) {
    case FakeForm::symmetric: return symmetric(x, steps, y, count);
    case FakeForm::affine: return affine(x, steps, y, count);
    case FakeForm::ternary: return ternary(x, y, count);
    case FakeForm::binary: return binary(x, y, count);
    case FakeForm::widened: break;
  }
  return widened(x, steps, y, count);
}

void groups(Device& device, const FakeQuantize& a) {
  with_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const std::size_t in_row = a.grid.groups();
    over_rows(device, a.grid.rows, a.grid.cols, [&](std::size_t row) {
      for (std::size_t g = 0; g < in_row; ++g) {
        const std::size_t begin = g * a.grid.group, left = a.grid.cols - begin;
        const std::size_t first = row * a.grid.cols + begin;
        const float scale = group_of(a.form, a.bits, a.x.as<const T>() + first, a.y.as<T>() + first,
                                     left < a.grid.group ? left : a.grid.group);
        if (a.scales != nullptr) a.scales[row * in_row + g] = scale;
      }
    });
  });
}

void with(Device& device, const FakeQuantizeWith& a) {
  over_elements(device, a.size, [&](std::size_t first, std::size_t count) {
    with_type(a.x.dtype, [&](auto type) {
      using T = decltype(type);
      const T* x = a.x.as<const T>() + first;
      T* y = a.y.as<T>() + first;
      const auto zero = static_cast<float>(a.zero);
      const float low = static_cast<float>(a.levels.low) - zero, high = static_cast<float>(a.levels.high) - zero;
      Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
        const float value = to_float(x[i]);
        put<false>(y[i], to_nearest(clamped(value / a.scale, low, high)) * a.scale + value * 0.0f);
      });
    });
  });
}

void range(Device&, const RangeOf& a) {
  with_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const T* x = a.x.as<const T>();
    const float poison = poison_of(x, a.size);
    a.range[0] = least(x, a.size) + poison;
    a.range[1] = greatest(x, a.size) + poison;
  });
}

}  // namespace

FakeQuantizeKernels fake_quantize_kernels();
FakeQuantizeKernels fake_quantize_kernels() { return {.groups = groups, .with = with, .range = range}; }

}  // namespace tranche::ops::TRANCHE_PATH
