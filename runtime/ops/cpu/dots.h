// Sums of products of bytes: the inside of products with packed weights. Exact, so how a path computes them is free:
// cpu/paths/dots_*.cpp, one for each.
#pragma once

#include "runtime/ops/cpu/vector.h"

namespace tranche::ops::TRANCHE_PATH {

// sums[r, o] = the sum of x[r, k] * w[k, o] over 4 quads of columns.  x: (rows, stride) of 0 .. 255, w: one block of
// runtime/ops/packed_linear.h, sums: (rows, 16). The caller sees to it that the sums fit.
struct Dots {
  const std::uint8_t* x;
  std::size_t stride, rows;
  const std::byte* weights;
  std::size_t quads;
  std::int32_t* sums;
};
inline constexpr std::size_t most_dot_rows = 4;

void dots_int8(const Dots& dots);  // rows <= most_dot_rows
void dots_int4(const Dots& dots);  // the same, of weights times 16; an even number of quads
void dots_int2(const Dots& dots);  // of weights times 64; a multiple of four quads

}  // namespace tranche::ops::TRANCHE_PATH
