// Matrix products, cut into tiles of the output. The cut depends on the shape alone, and one thread computes a tile
// from its first product to its last.
#include "runtime/ops/kernels/linear.h"
#include "runtime/base/round.h"

#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/cpu/gemm.h"
#include "runtime/ops/cpu/scratch.h"
#include "runtime/ops/cpu/vector.h"
#include "runtime/ops/functors/functor.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

// c = a b + bias, or c += a b.  a: (m, k), b: (k, n), c: (m, n); a transposed operand is stored the other way round
struct Task {
  std::size_t m, n, k;
  Elements a, b, bias;
  bool a_transposed, b_transposed;
  Target c;
};

struct Tile {
  std::size_t row, col, rows, cols;
};

// Equal parts of at most `most`, all but the last a multiple of 16.
struct Cut {
  std::size_t size, part, parts;
  Cut(std::size_t size_to_cut, std::size_t most) : size(size_to_cut) {
    parts = pieces_of(size, most);
    part = parts == 0 ? 1 : padded(pieces_of(size, parts), 16);
    parts = pieces_of(size, part);
  }
  std::size_t length(std::size_t i) const { return (i + 1) * part <= size ? part : size - i * part; }
};

// Tiles as large as leaves at least four of them: packing its operands costs a tile the more the smaller it is. Wide
// rather than high, which suits oneDNN's kernels (tests/bench/kernels.cpp).
struct Grid {
  Cut rows, cols;
  Grid(std::size_t m, std::size_t n) : rows(m, most_rows()), cols(n, 1024) {
    while (tiles() < 4 && rows.part > 64) rows = Cut{m, rows.part / 2};
    while (tiles() < 4 && cols.part > 128) cols = Cut{n, cols.part / 2};
  }
  std::size_t tiles() const { return rows.parts * cols.parts; }
  Tile operator[](std::size_t i) const {
    const std::size_t r = i / cols.parts, c = i % cols.parts;
    return {r * rows.part, c * cols.part, rows.length(r), cols.length(c)};
  }
};

template <class T> Operand<T> part_of_a(const Task& task, const Tile& tile, std::size_t first) {
  const T* a = task.a.as<const T>();
  return task.a_transposed ? Operand<T>{a + first * task.m + tile.row, task.m, true}
                           : Operand<T>{a + tile.row * task.k + first, task.k, false};
}
template <class T> Operand<T> part_of_b(const Task& task, const Tile& tile, std::size_t first) {
  const T* b = task.b.as<const T>();
  return task.b_transposed ? Operand<T>{b + tile.col * task.k + first, task.k, true}
                           : Operand<T>{b + first * task.n + tile.col, task.n, false};
}

void add_to_row(float* y, const float* bias, std::size_t count) {
  for (std::size_t c = 0; c < count; ++c) y[c] += bias[c];
}

// c (+)= sums + bias, rounded once.
template <bool adds, class T> void round_row(float* sums, const T* bias, T* c, std::size_t count) {
  if (bias != nullptr)
    for (std::size_t i = 0; i < count; ++i) sums[i] += to_float(bias[i]);
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i) functors::put<adds>(c[i], sums[i]);
}

template <class T> void round_tile(const Task& task, const Tile& tile, float* sums, std::size_t stride) {
  const T* bias = task.bias ? task.bias.as<const T>() + tile.col : nullptr;
  T* c = task.c.as<T>() + tile.row * task.n + tile.col;
  for (std::size_t row = 0; row < tile.rows; ++row, c += task.n, sums += stride) {
    if (task.c.holds_values)
      round_row<true>(sums, bias, c, tile.cols);
    else
      round_row<false>(sums, bias, c, tile.cols);
  }
}

template <class T> void widen_row(const T* from, float* to, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i) to[i] = to_float(from[i]);
}

// An odd number of cache lines from row to row, so that a column's lines fall into different sets.
constexpr std::size_t stride_for(std::size_t cols) { return (cols + 15) / 16 * 16 | 16; }

float* floats(Scratch slot, std::size_t rows, std::size_t stride) {
  return static_cast<float*>(scratch(slot, rows * stride * sizeof(float)));
}

// rows x cols as stored
template <class T> Operand<float> widened(const Operand<T>& part, std::size_t rows, std::size_t cols, Scratch slot) {
  const std::size_t stride = stride_for(cols);
  float* to = floats(slot, rows, stride);
  for (std::size_t row = 0; row < rows; ++row) widen_row(part.data + row * part.stride, to + row * stride, cols);
  return {to, stride, part.transposed};
}

// Operands are copied, widened to float32, block by block of the inner dimension, never a whole weight: the blocks stay
// in the core's own cache, and the scratch has a bound.
template <class T> void widened_tile(const Task& task, const Tile& tile) {
  constexpr std::size_t most_inner = 512;
  const Cut inner{task.k, most_inner};
  const std::size_t stride = stride_for(tile.cols);
  float* sums = floats(Scratch::sums, tile.rows, stride);
  if (task.k == 0)
    for (std::size_t i = 0; i < tile.rows * stride; ++i) sums[i] = 0;
  for (std::size_t i = 0; i < inner.parts; ++i) {
    const std::size_t first = i * inner.part, count = inner.length(i);
    const Operand<T> a = part_of_a<T>(task, tile, first), b = part_of_b<T>(task, tile, first);
    multiply(a.transposed ? widened(a, count, tile.rows, Scratch::first_operand)
                          : widened(a, tile.rows, count, Scratch::first_operand),
             b.transposed ? widened(b, tile.cols, count, Scratch::second_operand)
                          : widened(b, count, tile.cols, Scratch::second_operand),
             {tile.rows, tile.cols, count, sums, stride, i != 0});
  }
  round_tile<T>(task, tile, sums, stride);
}

void float_tile(const Task& task, const Tile& tile) {
  if (reads_in_place(tile.rows, tile.cols)) return widened_tile<float>(task, tile);
  float* c = task.c.as<float>() + tile.row * task.n + tile.col;
  multiply(part_of_a<float>(task, tile, 0), part_of_b<float>(task, tile, 0),
           {tile.rows, tile.cols, task.k, c, task.n, task.c.holds_values});
  if (!task.bias) return;
  for (std::size_t row = 0; row < tile.rows; ++row)
    add_to_row(c + row * task.n, task.bias.as<const float>() + tile.col, tile.cols);
}

void bfloat16_tile(const Task& task, const Tile& tile) {
  const std::size_t stride = stride_for(tile.cols);
  float* sums = floats(Scratch::sums, tile.rows, stride);
  multiply(part_of_a<bfloat16>(task, tile, 0), part_of_b<bfloat16>(task, tile, 0),
           {tile.rows, tile.cols, task.k, sums, stride, false});
  round_tile<bfloat16>(task, tile, sums, stride);
}

void compute(Device& device, const Task& task) {
  const bool bfloat16_products = task.a.dtype == DType::bfloat16 && has_bfloat16_products();
  const auto compute_tile = bfloat16_products                 ? bfloat16_tile
                            : task.a.dtype == DType::bfloat16 ? widened_tile<bfloat16>
                            : task.a.dtype == DType::float16  ? widened_tile<float16>
                                                              : float_tile;
  const Grid grid{task.m, task.n};
  pool_of(device).run(grid.tiles(), [&](std::size_t tile) { compute_tile(task, grid[tile]); });
}

void forward(Device& device, const LinearForward& f) {
  compute(device, {.m = f.rows,
                   .n = f.out,
                   .k = f.in,
                   .a = f.x,
                   .b = f.weight,
                   .bias = f.bias,
                   .a_transposed = false,
                   .b_transposed = true,
                   .c = {f.y, false}});
}

void input_gradient(Device& device, const LinearInputGradient& g) {
  compute(device, {.m = g.rows,
                   .n = g.in,
                   .k = g.out,
                   .a = g.dy,
                   .b = g.weight,
                   .bias = {},
                   .a_transposed = false,
                   .b_transposed = false,
                   .c = g.dx});
}

void weight_gradient(Device& device, const LinearWeightGradient& g) {
  compute(device, {.m = g.out,
                   .n = g.in,
                   .k = g.rows,
                   .a = g.dy,
                   .b = g.x,
                   .bias = {},
                   .a_transposed = true,
                   .b_transposed = false,
                   .c = g.dweight});
}

// A tile is a strip of columns, so that each sum has one owner and goes down the rows.
constexpr std::size_t strip = 64;

template <class T> void bias_gradient_strip(const LinearBiasGradient& g, std::size_t first, std::size_t count) {
  const T* dy = g.dy.as<const T>() + first;
  T* dbias = g.dbias.as<T>() + first;
  float sums[strip] = {};
  for (std::size_t row = 0; row < g.rows; ++row, dy += g.out)
    for (std::size_t c = 0; c < count; ++c) sums[c] += to_float(dy[c]);
  if (g.dbias.holds_values)
    for (std::size_t c = 0; c < count; ++c) sums[c] += to_float(dbias[c]);
  for (std::size_t c = 0; c < count; ++c) dbias[c] = from_float<T>(sums[c]);
}

void bias_gradient(Device& device, const LinearBiasGradient& g) {
  pool_of(device).run(pieces_of(g.out, strip), [&](std::size_t tile) {
    const std::size_t first = tile * strip, count = g.out - first < strip ? g.out - first : strip;
    with_type(g.dy.dtype, [&](auto type) { bias_gradient_strip<decltype(type)>(g, first, count); });
  });
}

}  // namespace

LinearKernels linear_kernels();
LinearKernels linear_kernels() {
  return {.forward = forward,
          .input_gradient = input_gradient,
          .weight_gradient = weight_gradient,
          .bias_gradient = bias_gradient};
}

}  // namespace tranche::ops::TRANCHE_PATH
