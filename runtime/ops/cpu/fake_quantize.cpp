#include "runtime/ops/kernels/fake_quantize.h"
#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/fake_quantize.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

using functors::put;

void groups(Device& device, const FakeQuantize& a) {
  with_type(a.x.dtype, [&](auto type) {
    using T = decltype(type);
    const std::size_t in_row = a.grid.groups();
    over_rows(device, a.grid.rows, a.grid.cols, [&](std::size_t row) {
      for (std::size_t g = 0; g < in_row; ++g) {
        const std::size_t begin = g * a.grid.group, left = a.grid.cols - begin;
        const std::size_t first = row * a.grid.cols + begin;
        const float scale =
            functors::fake_quantized_group(Block{}, a.form, a.bits, a.x.as<const T>() + first, a.y.as<T>() + first,
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
      Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
        put<false>(y[i], functors::fake_quantized(to_float(x[i]), a.scale, a.zero, a.levels));
      });
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
FakeQuantizeKernels fake_quantize_kernels() { return {.groups = groups, .with = with, .range = range}; }

}  // namespace tranche::ops::TRANCHE_PATH
