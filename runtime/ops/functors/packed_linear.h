// Where the values of a packed weight lie (runtime/ops/packed_linear.h), and the rows that it is multiplied with. Of
// fewer bits than eight, kernels see a value times 2^(8 - bits), in the upper bits of a byte: shifting it into place
// would cost more.
#pragma once

#include "runtime/ops/functors/levels.h"
#include "runtime/ops/packed_linear.h"

namespace tranche::ops::functors {

inline constexpr std::int32_t middle_word = 32768;  // of a word's levels

// Columns of one output that lie side by side, in four bytes.
TRANCHE_FUNCTOR std::size_t packed_columns(const PackedShape& shape) { return 32 / shape.bits; }
TRANCHE_FUNCTOR std::size_t packed_block_bytes(const PackedShape& shape) {
  return shape.padded_in() * PackedShape::block * shape.bits / 8;
}

// Values in a byte, each of another four columns.
TRANCHE_FUNCTOR unsigned packed_parts(unsigned bits) { return 8 / bits; }

// As the kernels see it.
TRANCHE_FUNCTOR std::int32_t packed_value(unsigned bits, std::uint8_t byte, unsigned part) {
  const unsigned raised = std::uint32_t{byte} << (8 - bits * (part + 1));
  return static_cast<std::int8_t>(static_cast<std::uint8_t>(raised & (0xFFu << (8 - bits))));
}
TRANCHE_FUNCTOR std::int32_t packed_value_at(const PackedShape& shape, const std::byte* values, std::size_t row,
                                             std::size_t column) {
  const std::size_t columns = packed_columns(shape), within = column % columns;
  const std::size_t at = row / PackedShape::block * packed_block_bytes(shape) + column / columns * 64 +
                         row % PackedShape::block * 4 + within % 4;
  return packed_value(shape.bits, static_cast<std::uint8_t>(values[at]), static_cast<unsigned>(within / 4));
}

// The byte at `at` of the packed values.  q: (out, in)
TRANCHE_FUNCTOR std::byte packed_byte(const PackedShape& shape, const std::int8_t* q, std::size_t at) {
  const std::size_t in_block = at % packed_block_bytes(shape);
  const std::size_t row = at / packed_block_bytes(shape) * PackedShape::block + in_block % 64 / 4;
  const std::size_t column = in_block / 64 * packed_columns(shape) + in_block % 4;
  if (row >= shape.out) return std::byte{0};
  std::uint32_t byte = 0;
  for (unsigned part = 0; part < packed_parts(shape.bits); ++part) {
    const std::size_t c = column + 4 * part;
    const std::uint32_t value = c < shape.in ? std::uint32_t(q[row * shape.in + c]) : 0u;
    byte |= (value & (0xFFu >> (8 - shape.bits))) << shape.bits * part;
  }
  return static_cast<std::byte>(byte);
}

// The scale and the sum at `at` of a packed weight's; its group's number is that of a (blocks, groups, 16) matrix.
struct PackedGroup {
  float scale;
  std::int32_t sum;
};
TRANCHE_FUNCTOR PackedGroup packed_group(const PackedShape& shape, const std::int8_t* q, const float* scales,
                                         std::size_t at) {
  const std::size_t groups = shape.groups(), group = at / PackedShape::block % groups;
  const std::size_t row = at / PackedShape::block / groups * PackedShape::block + at % PackedShape::block;
  if (row >= shape.out) return {0, 0};
  const std::size_t begin = group * shape.group, end = begin + shape.group;
  std::int32_t sum = 0;
  for (std::size_t k = begin; k < end && k < shape.in; ++k) sum += q[row * shape.in + k];
  const std::int32_t raised = 1 << (8 - shape.bits);
  return {scales[row * groups + group] / static_cast<float>(raised), sum * raised};
}

// To the levels -32767 .. 32767 about 0, moved to 1 .. 65535 and cut in two bytes: two rows of `stride`.
template <class Block>
TRANCHE_FUNCTOR void split_row(const Block& block, std::size_t cols, std::size_t stride, const float* x,
                               std::uint8_t* upper, std::uint8_t* lower, float* scale) {
  const float most = larger(greatest(block, x, cols), -least(block, x, cols));
  const float step = most / 32767.0f, its_scale = step + poison_of(block, x, cols);
  const std::size_t usable = its_scale > 0 ? cols : 0;  // not NaN
  block.single([&]() TRANCHE_ALWAYS_INLINE { *scale = its_scale; });
  block.each(usable, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    // A denormal step may make a quotient larger than 32767.
    const auto level = static_cast<std::int32_t>(to_nearest(clamped(x[i] / step, -32767.0f, 32767.0f))) + middle_word;
    upper[i] = static_cast<std::uint8_t>(level >> 8);
    lower[i] = static_cast<std::uint8_t>(level & 0xFF);
  });
  block.each(stride - usable, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    upper[usable + i] = middle_word >> 8;
    lower[usable + i] = 0;
  });
}

}  // namespace tranche::ops::functors
