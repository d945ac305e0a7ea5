#include "runtime/ops/kernels/fake_quantize.h"
#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/fake_quantize.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

using functors::put;

// work(group's number, its first element, its size) for every group, rows dealt out to threads.
template <class Work> TRANCHE_INLINE void over_groups(Device& device, const QuantizationGrid& grid, const Work& work) {
  const std::size_t in_row = grid.groups();
  over_rows(device, grid.rows, grid.cols, [&](std::size_t row) {
    for (std::size_t g = 0; g < in_row; ++g) {
      const std::size_t begin = g * grid.group, left = grid.cols - begin;
      work(row * in_row + g, row * grid.cols + begin, left < grid.group ? left : grid.group);
    }
  });
}

void groups(Device& device, const FakeQuantize& a) {
  with_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    over_groups(device, a.grid, [&](std::size_t number, std::size_t first, std::size_t count) {
      const float scale = functors::fake_quantized_group(Block{}, a.form, a.bits, a.x.as<const T>() + first,
                                                         a.y.as<T>() + first, count);
      if (a.scales != nullptr) a.scales[number] = scale;
    });
  });
}

void with(Device& device, const FakeQuantizeWith& a) {
  over_elements(device, a.size, [&](std::size_t first, std::size_t count) {
    with_type(a.x.dtype, [&](auto type) {
      using T = decltype(type);
      const T* x = a.x.as<const T>() + first;
      T* y = a.y.as<T>() + first;
      Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
        put<false>(y[i], functors::fake_quantized(to_float(x[i]), a.scale, a.zero, a.levels));
      });
    });
  });
}

void by(Device& device, const FakeQuantizeBy& a) {
  with_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    over_groups(device, a.grid, [&](std::size_t number, std::size_t first, std::size_t count) {
      functors::fake_quantized_by(Block{}, to_float(a.steps.as<const T>()[number]), a.bits, a.x.as<const T>() + first,
                                  a.y.as<T>() + first, count);
    });
  });
}

void by_input_gradient(Device& device, const FakeQuantizeByGradient& a) {
  with_target(a.target, [&](auto type, auto mode) {
    using T = decltype(type);
    over_groups(device, a.grid, [&](std::size_t number, std::size_t first, std::size_t count) {
      functors::fake_quantized_by_input_gradient<mode.adds>(Block{}, to_float(a.steps.as<const T>()[number]), a.bits,
                                                            a.dy.as<const T>() + first, a.x.as<const T>() + first,
                                                            a.target.as<T>() + first, count);
    });
  });
}

void by_step_gradient(Device& device, const FakeQuantizeByGradient& a) {
  with_target(a.target, [&](auto type, auto mode) {
    using T = decltype(type);
    over_groups(device, a.grid, [&](std::size_t number, std::size_t first, std::size_t count) {
      put<mode.adds>(a.target.as<T>()[number], functors::fake_quantized_by_step_gradient(
                                                   Block{}, to_float(a.steps.as<const T>()[number]), a.bits,
                                                   a.dy.as<const T>() + first, a.x.as<const T>() + first, count));
    });
  });
}

void range(Device&, const RangeOf& a) {
  with_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const T* x = a.x.as<const T>();
    const float poison = functors::poison_of(Block{}, x, a.size);
    a.range[0] = functors::least(Block{}, x, a.size) + poison;
    a.range[1] = functors::greatest(Block{}, x, a.size) + poison;
  });
}

}  // namespace

FakeQuantizeKernels fake_quantize_kernels();
FakeQuantizeKernels fake_quantize_kernels() {
  return {.groups = groups,
          .with = with,
          .by = by,
          .by_input_gradient = by_input_gradient,
          .by_step_gradient = by_step_gradient,
          .range = range};
}

}  // namespace tranche::ops::TRANCHE_PATH
