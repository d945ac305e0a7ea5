// Kernels of runtime/ops/elementwise.h. All arrays of a call have one size and, unless said, one dtype.
#pragma once

#include <cstdint>

#include "runtime/base/random.h"
#include "runtime/ops/kernels/elements.h"

namespace tranche {
class Device;
}

namespace tranche::ops {

struct Add {
  Elements a, b, y;
  std::size_t size;
};
struct Store {
  Elements from;
  Target to;  // of any floating dtype
  std::size_t size;
};
struct Convert {
  Elements x, y;  // of any two floating dtypes
  std::size_t size;
};
struct Scale {
  Elements x;
  float factor;
  std::size_t size;
};
struct Accumulate {
  Elements from;
  float* sum;
  std::size_t size;
};
struct Dropout {
  Elements x;
  float probability;
  std::uint64_t key;
  Target y;
  std::size_t size;
};
struct FillNormal {
  float* x;
  std::uint64_t key, first;
  float mean, deviation;
  std::size_t size;
};
struct FillConstant {
  Elements x;
  float value;
  std::size_t size;
};

struct ElementwiseKernels {
  void (*add)(Device&, const Add&);
  void (*store)(Device&, const Store&);
  void (*convert)(Device&, const Convert&);
  void (*scale)(Device&, const Scale&);
  void (*accumulate)(Device&, const Accumulate&);  // on the calling thread, where the host computes
  void (*dropout)(Device&, const Dropout&);
  void (*fill_normal)(Device&, const FillNormal&);
  void (*fill_constant)(Device&, const FillConstant&);
};

}  // namespace tranche::ops
