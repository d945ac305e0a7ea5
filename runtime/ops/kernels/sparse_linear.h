// Kernels of runtime/ops/sparse_linear.h.
#pragma once

#include "runtime/ops/kernels/elements.h"
#include "runtime/ops/sparse_linear.h"

namespace tranche::ops {

// Where a weight without its zeros lies.
struct SparseElements {
  std::uint16_t* places;  // (blocks, in)
  std::uint64_t* starts;  // (blocks + 1)
  float* values;
  SparseShape shape;
};

struct FindPlaces {
  const float* dense;     // (out, in)
  SparseElements weight;  // without values; places and starts are written
};
struct StoreValues {
  const float* dense;
  SparseElements weight;  // values are written
};
struct SparseProduct {
  const float* x;  // (rows, in)
  SparseElements weight;
  const float* bias;
  float* y;
  std::size_t rows;  // at most few_rows
};
struct SparseExpansion {
  SparseElements weight;
  float* dense;  // is written
};
struct SparseRows {
  const std::int32_t* numbers;
  SparseElements table;
  float* y;
  std::size_t count;
};

struct SparseKernels {
  void (*find)(Device&, const FindPlaces&);
  void (*store)(Device&, const StoreValues&);
  void (*product)(Device&, const SparseProduct&);
  void (*expand)(Device&, const SparseExpansion&);
  void (*rows)(Device&, const SparseRows&);
};

}  // namespace tranche::ops
