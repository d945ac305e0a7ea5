// This file alone is compiled with -ffp-contract=fast: its one a * b + c is meant to be fused where the path can.
#include "runtime/ops/cpu/panel.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

// As wide as the path's registers. 4 rows x `wide` registers of sums leave room for operands, and are enough chains to
// hide the latency of a fused multiply-add.
typedef float Register __attribute__((vector_size(__BIGGEST_ALIGNMENT__)));
constexpr std::size_t width = sizeof(Register) / sizeof(float);
constexpr std::size_t high = 4, wide = width == 16 ? 4 : 2;

[[gnu::always_inline]] inline Register load(const float* from) {
  Register x;
  __builtin_memcpy(&x, from, sizeof x);
  return x;
}

template <std::size_t count, std::size_t registers>
[[gnu::always_inline]] inline void add_block(std::size_t inner, Scalars a, Rows b, Rows c) {
  Register sums[count][registers];
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t v = 0; v < registers; ++v) sums[r][v] = load(c.data + r * c.stride + v * width);
  for (std::size_t k = 0; k < inner; ++k) {
    Register right[registers];
    for (std::size_t v = 0; v < registers; ++v) right[v] = load(b.data + k * b.stride + v * width);
    for (std::size_t r = 0; r < count; ++r) {
      const Register left = a.data[r * a.row + k * a.inner] - Register{};  // in every lane
      for (std::size_t v = 0; v < registers; ++v) sums[r][v] = left * right[v] + sums[r][v];
    }
  }
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t v = 0; v < registers; ++v)
      __builtin_memcpy(c.data + r * c.stride + v * width, &sums[r][v], sizeof(Register));
}

template <std::size_t registers> void add_columns(std::size_t rows, std::size_t inner, Scalars a, Rows b, Rows c) {
  std::size_t r = 0;
  for (; r + high <= rows; r += high)
    add_block<high, registers>(inner, {a.data + r * a.row, a.row, a.inner}, b, {c.data + r * c.stride, c.stride});
  for (; r < rows; ++r)
    add_block<1, registers>(inner, {a.data + r * a.row, a.row, a.inner}, b, {c.data + r * c.stride, c.stride});
}

}  // namespace

void add_product(std::size_t rows, std::size_t cols, std::size_t inner, Scalars a, Rows b, Rows c) {
  std::size_t first = 0;
  for (; first + wide * width <= cols; first += wide * width)
    add_columns<wide>(rows, inner, a, {b.data + first, b.stride}, {c.data + first, c.stride});
  for (; first < cols; first += width)
    add_columns<1>(rows, inner, a, {b.data + first, b.stride}, {c.data + first, c.stride});
}

}  // namespace tranche::ops::TRANCHE_PATH
