#include "runtime/ops/kernels/reduce.h"

#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/finite.h"
#include "runtime/ops/reduce.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

using functors::non_finite;

void scale_and_sum_squares(Device& device, const ScaleAndSumSquares& a) {
  in_pieces(device, a.blocks, tile_elements / block, [&](std::size_t first, std::size_t count) {
    for (std::size_t b = first; b < first + count; ++b) {
      float* gradient = a.gradient + b * block;
      if (a.factor != 1.0f)  // else nothing is written, and memory is only read
        Block{}.each(block, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { gradient[i] *= a.factor; });
      a.partials[b] = Block{}.sum(block, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
        const double x = gradient[i];
        return x * x;
      });
    }
  });
}

double add_in_order(Device&, const AddInOrder& a) {
  double sum = a.sum;
  const double* row = a.rows.values;
  for (std::size_t left = a.rows.total; left != 0; row += a.rows.stride) {
    const std::size_t count = a.rows.count < left ? a.rows.count : left;
    for (std::size_t i = 0; i < count; ++i) sum += row[i];
    left -= count;
  }
  return sum;
}

template <class T> std::size_t first_in(const T* x, std::size_t size) {
  constexpr std::size_t piece = 1024;
  for (std::size_t first = 0; first < size; first += piece) {
    const std::size_t count = size - first < piece ? size - first : piece;
    unsigned any = 0;
    for (std::size_t i = 0; i < count; ++i) any |= non_finite(x[first + i]) ? 1u : 0u;
    if (any == 0) continue;
    for (std::size_t i = first;; ++i)
      if (non_finite(x[i])) return i;
  }
  return size;
}

std::size_t first_non_finite(Device&, const FirstNonFinite& a) {
  std::size_t found = 0;
  with_type(a.x.dtype, [&](auto type) { found = first_in(a.x.as<const decltype(type)>(), a.size); });
  return found;
}

}  // namespace

ReduceKernels reduce_kernels();
ReduceKernels reduce_kernels() {
  return {.scale_and_sum_squares = scale_and_sum_squares,
          .add_in_order = add_in_order,
          .first_non_finite = first_non_finite};
}

}  // namespace tranche::ops::TRANCHE_PATH
