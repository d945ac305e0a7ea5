// Kernels of runtime/ops/quantize.h. x is float32, q int8 or uint8.
#pragma once

#include "runtime/ops/kernels/elements.h"
#include "runtime/ops/quantize.h"

namespace tranche::ops {

struct Quantize {
  const float* x;
  const float* scales;
  const std::int32_t* zeros;  // null: all zero
  Elements q;
  QuantizationGrid grid;
  Levels levels;
};
struct Dequantize {
  Elements q;
  const float* scales;
  const std::int32_t* zeros;  // null: all zero
  float* x;
  QuantizationGrid grid;
};
struct QuantizeRows {
  const float* x;
  std::uint8_t* q;
  float* scales;
  std::int32_t* zeros;
  std::size_t rows, cols, stride;
};

struct QuantizeRowsWith {
  QuantizeRows rows;
  float scale;
  std::int32_t zero;
};

struct QuantizeKernels {
  void (*quantize)(Device&, const Quantize&);
  void (*dequantize)(Device&, const Dequantize&);
  void (*quantize_rows)(Device&, const QuantizeRows&);
  void (*quantize_rows_with)(Device&, const QuantizeRowsWith&);
};

}  // namespace tranche::ops
