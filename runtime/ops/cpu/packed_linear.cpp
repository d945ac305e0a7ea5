#include "runtime/ops/kernels/packed_linear.h"
#include "runtime/ops/cpu/dots.h"
#include "runtime/ops/cpu/tiles.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

constexpr std::size_t block_outputs = PackedShape::block;
constexpr std::size_t blocks_in_tile = 4;
constexpr std::size_t middle = 32768;  // of a word's levels

// Where the value of (output, column) of a block is: its byte, and whether in the upper half.
struct Place {
  std::size_t byte;
  bool upper;
};
Place place_of(const PackedShape& shape, std::size_t output, std::size_t column) {
  const std::size_t values = 32 / shape.bits, within = column % values;  // of one output side by side
  return {column / values * 64 + output * 4 + within % 4, within >= 4};
}

// As the kernels see it: of four bits, sixteen times the value.
std::int32_t value_at(const PackedElements& weight, std::size_t row, std::size_t column) {
  const PackedShape& shape = weight.shape;
  const std::size_t bytes_in_block = shape.padded_in() * block_outputs * shape.bits / 8;
  const Place place = place_of(shape, row % block_outputs, column);
  const auto byte = static_cast<std::uint8_t>(weight.values[row / block_outputs * bytes_in_block + place.byte]);
  if (shape.bits == 8 || place.upper) return static_cast<std::int8_t>(shape.bits == 8 ? byte : byte & 0xF0);
  return static_cast<std::int8_t>(static_cast<std::uint8_t>(byte << 4));
}

void pack(Device& device, const PackWeight& a) {
  const PackedShape& shape = a.weight.shape;
  const std::size_t bytes_in_block = shape.padded_in() * block_outputs * shape.bits / 8, groups = shape.groups();
  in_pieces(device, shape.blocks(), blocks_in_tile, [&](std::size_t first, std::size_t count) {
    for (std::size_t b = first; b < first + count; ++b) {
      std::byte* values = a.weight.values + b * bytes_in_block;
      for (std::size_t i = 0; i < bytes_in_block; ++i) values[i] = std::byte{0};
      for (std::size_t i = 0; i < groups * block_outputs; ++i) {
        const std::size_t output = b * block_outputs + i % block_outputs, group = i / block_outputs;
        const std::size_t at = b * groups * block_outputs + i;
        a.weight.scales[at] = 0;
        a.weight.sums[at] = 0;
        if (output >= shape.out) continue;
        a.weight.scales[at] = a.scales[output * groups + group] * (shape.bits == 8 ? 1.0f : 0.0625f);
        const std::size_t begin = group * shape.group, left = shape.in - begin;
        for (std::size_t k = begin; k < begin + (left < shape.group ? left : shape.group); ++k) {
          const std::int8_t q = a.q[output * shape.in + k];
          const Place place = place_of(shape, i % block_outputs, k);
          const auto bits = static_cast<std::uint8_t>(shape.bits == 8 ? q : q & 0xF);
          values[place.byte] |= static_cast<std::byte>(place.upper ? bits << 4 : bits);
          a.weight.sums[at] += shape.bits == 8 ? q : q * 16;
        }
      }
    }
  });
}

// To the levels -32767 .. 32767 about 0, moved to 1 .. 65535 and cut in two bytes: two rows of q.
void split_row(const float* x, std::uint8_t* upper, std::uint8_t* lower, float& scale, std::size_t cols,
               std::size_t stride) {
  const float most = larger(Block{}.max(cols, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return x[i]; }),
                            Block{}.max(cols, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return -x[i]; }));
  const float poison = Block{}.sum(cols, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return x[i] * 0.0f; });
  const float step = most / 32767.0f;
  scale = step + poison;
  const bool usable = scale > 0;  // not NaN
  for (std::size_t i = usable ? cols : 0; i < stride; ++i) {
    upper[i] = middle >> 8;
    lower[i] = 0;
  }
  if (!usable) return;
#pragma GCC ivdep
  for (std::size_t i = 0; i < cols; ++i) {
    const float quotient = x[i] / step;  // a denormal step may make it larger than 32767
    const float clamped = quotient < 32767.0f ? (quotient > -32767.0f ? quotient : -32767.0f) : 32767.0f;
    const auto level = static_cast<std::int32_t>((clamped + 0x1.8p23f) - 0x1.8p23f) + static_cast<std::int32_t>(middle);
    upper[i] = static_cast<std::uint8_t>(level >> 8);
    lower[i] = static_cast<std::uint8_t>(level & 0xFF);
  }
}

void split_rows(Device& device, const SplitRows& a) {
  over_rows(device, a.rows, a.cols, [&](std::size_t row) {
    std::uint8_t* q = a.q + 2 * row * a.stride;
    split_row(a.x + row * a.cols, q, q + a.stride, a.scales[row], a.cols, a.stride);
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
  else
    dots_int4(dots);
}

void bytes_rows(const PackedProduct& a, std::size_t block, std::size_t first, std::size_t count) {
  const PackedShape& shape = a.weight.shape;
  const std::size_t stride = shape.padded_in(), bytes_in_block = stride * block_outputs * shape.bits / 8;
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
        const std::int32_t sum = upper[o] * 256 + lower[o] - weight_sums[o] * static_cast<std::int32_t>(middle);
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
      a.y[i * shape.in + c] = static_cast<float>(value_at(a.table, row, c)) * scales[c / shape.group * block_outputs];
  });
}

}  // namespace

PackedKernels packed_kernels();
PackedKernels packed_kernels() { return {.pack = pack, .split_rows = split_rows, .product = product, .rows = rows}; }

}  // namespace tranche::ops::TRANCHE_PATH
