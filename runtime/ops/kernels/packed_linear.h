// Kernels of runtime/ops/packed_linear.h.
#pragma once

#include "runtime/ops/kernels/elements.h"
#include "runtime/ops/packed_linear.h"

namespace tranche::ops {

// Where a packed weight lies.
struct PackedElements {
  std::byte* values;
  float* scales;
  std::int32_t* sums;
  PackedShape shape;
};

struct PackWeight {
  const std::int8_t* q;  // (out, in)
  const float* scales;   // (out, groups)
  PackedElements weight;
};
struct SplitRows {
  const float* x;
  std::uint8_t* q;
  float* scales;
  std::size_t rows, cols, stride;
};
struct PackedProduct {
  const std::uint8_t* q;      // (rows, padded in); words: (2 rows, padded in)
  const float* scales;        // (rows)
  const std::int32_t* zeros;  // (rows); null: q holds the two bytes of words
  PackedElements weight;
  const float* bias;
  float* y;
  std::size_t rows;
};
struct PackedRows {
  const std::int32_t* numbers;
  PackedElements table;
  float* y;
  std::size_t count;
};

struct PackedKernels {
  void (*pack)(Device&, const PackWeight&);
  void (*split_rows)(Device&, const SplitRows&);
  void (*product)(Device&, const PackedProduct&);
  void (*rows)(Device&, const PackedRows&);
};

}  // namespace tranche::ops
