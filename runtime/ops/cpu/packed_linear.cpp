#include "runtime/ops/kernels/packed_linear.h"
#include "runtime/ops/cpu/dots.h"
#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/packed_linear.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

constexpr std::size_t block_outputs = PackedShape::block;
constexpr std::size_t blocks_in_tile = 4;

// A tile is some blocks: of bytes as they lie, then of scales and sums.
void pack(Device& device, const PackWeight& a) {
  const PackedShape& shape = a.weight.shape;
  const std::size_t bytes = functors::packed_block_bytes(shape), groups = shape.groups() * block_outputs;
  in_pieces(device, shape.blocks(), blocks_in_tile, [&](std::size_t first, std::size_t count) {
    for (std::size_t at = first * bytes; at < (first + count) * bytes; ++at)
      a.weight.values[at] = functors::packed_byte(shape, a.q, at);
    for (std::size_t at = first * groups; at < (first + count) * groups; ++at) {
      const functors::PackedGroup group = functors::packed_group(shape, a.q, a.scales, at);
      a.weight.scales[at] = group.scale, a.weight.sums[at] = group.sum;
    }
  });
}

void split_rows(Device& device, const SplitRows& a) {
  over_rows(device, a.rows, a.cols, [&](std::size_t row) {
    std::uint8_t* q = a.q + 2 * row * a.stride;
    functors::split_row(Block{}, a.cols, a.stride, a.x + row * a.cols, q, q + a.stride, a.scales + row);
  });
}

// y = sums * scale + bias for the outputs of one block that there are.
void put_row(const PackedProduct& a, std::size_t block, std::size_t row, const float* sums, float scale) {
  const std::size_t first = block * block_outputs, left = a.weight.shape.out - first;
  const std::size_t count = left < block_outputs ? left : block_outputs;
  float* y = a.y + row * a.weight.shape.out + first;
  for (std::size_t o = 0; o < count; ++o) y[o] = sums[o] * scale + (a.bias != nullptr ? a.bias[first + o] : 0.0f);
}

void multiply(const PackedShape& shape, const Dots& dots) {
  if (shape.bits == 8)
    dots_int8(dots);
  else if (shape.bits == 4)
    dots_int4(dots);
  else
    dots_int2(dots);
}

void bytes_rows(const PackedProduct& a, std::size_t block, std::size_t first, std::size_t count) {
  const PackedShape& shape = a.weight.shape;
  const std::size_t stride = shape.padded_in(), bytes_in_block = functors::packed_block_bytes(shape);
  const float* scales = a.weight.scales + block * block_outputs;
  const std::int32_t* weight_sums = a.weight.sums + block * block_outputs;
  std::int32_t sums[most_dot_rows * block_outputs];
  multiply(shape, {.x = a.q + first * stride,
                   .stride = stride,
                   .rows = count,
                   .weights = a.weight.values + block * bytes_in_block,
                   .quads = stride / 4,
                   .sums = sums});
  for (std::size_t r = 0; r < count; ++r) {
    float scaled[block_outputs];
    for (std::size_t o = 0; o < block_outputs; ++o)
      scaled[o] = static_cast<float>(sums[r * block_outputs + o] - a.zeros[first + r] * weight_sums[o]) * scales[o];
    put_row(a, block, first + r, scaled, a.scales[first + r]);
  }
}

void words_rows(const PackedProduct& a, std::size_t block, std::size_t first, std::size_t count) {
  const PackedShape& shape = a.weight.shape;
  const std::size_t stride = shape.padded_in(), column_bytes = block_outputs * shape.bits / 8, groups = shape.groups();
  float sums[most_dot_rows / 2][block_outputs] = {};
  for (std::size_t g = 0; g < groups; ++g) {
    const std::size_t begin = g * shape.group, left = stride - begin;
    const float* scales = a.weight.scales + (block * groups + g) * block_outputs;
    const std::int32_t* weight_sums = a.weight.sums + (block * groups + g) * block_outputs;
    std::int32_t planes[most_dot_rows * block_outputs];
    multiply(shape, {.x = a.q + 2 * first * stride + begin,
                     .stride = stride,
                     .rows = 2 * count,
                     .weights = a.weight.values + (block * stride + begin) * column_bytes,
                     .quads = (left < shape.group ? left : shape.group) / 4,
                     .sums = planes});
    for (std::size_t r = 0; r < count; ++r) {
      const std::int32_t *upper = planes + 2 * r * block_outputs, *lower = upper + block_outputs;
      for (std::size_t o = 0; o < block_outputs; ++o) {
        const std::int32_t sum = upper[o] * 256 + lower[o] - weight_sums[o] * functors::middle_word;
        sums[r][o] += static_cast<float>(sum) * scales[o];
      }
    }
  }
  for (std::size_t r = 0; r < count; ++r) put_row(a, block, first + r, sums[r], a.scales[first + r]);
}

void product(Device& device, const PackedProduct& a) {
  const bool words = a.zeros == nullptr;
  const std::size_t most = words ? most_dot_rows / 2 : most_dot_rows;
  in_pieces(device, a.weight.shape.blocks(), blocks_in_tile, [&](std::size_t first, std::size_t count) {
    for (std::size_t block = first; block < first + count; ++block) {
      for (std::size_t row = 0; row < a.rows; row += most) {
        const std::size_t rows = a.rows - row < most ? a.rows - row : most;
        if (words)
          words_rows(a, block, row, rows);
        else
          bytes_rows(a, block, row, rows);
      }
    }
  });
}

void rows(Device& device, const PackedRows& a) {
  const PackedShape& shape = a.table.shape;
  over_rows(device, a.count, shape.in, [&](std::size_t i) {
    const auto row = static_cast<std::size_t>(a.numbers[i]);
    const float* scales = a.table.scales + row / block_outputs * shape.groups() * block_outputs + row % block_outputs;
    for (std::size_t c = 0; c < shape.in; ++c)
      a.y[i * shape.in + c] = static_cast<float>(functors::packed_value_at(shape, a.table.values, row, c)) *
                              scales[c / shape.group * block_outputs];
  });
}

}  // namespace

PackedKernels packed_kernels();
PackedKernels packed_kernels() { return {.pack = pack, .split_rows = split_rows, .product = product, .rows = rows}; }

}  // namespace tranche::ops::TRANCHE_PATH
