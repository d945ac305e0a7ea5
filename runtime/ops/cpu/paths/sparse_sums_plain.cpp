// For any processor: a loop over the values that are there.
#include "runtime/ops/cpu/paths/sparse_sums_loop.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

struct Machine {
  struct Floats {
    float of[16];
  };

  static Floats zero() { return {}; }
  static Floats spread(unsigned places, const float* values) {
    Floats spread{};
    for (; places != 0; places &= places - 1) spread.of[__builtin_ctz(places)] = *values++;
    return spread;
  }
  static void add(Floats& sums, const Floats& weights, float x) {
    for (std::size_t o = 0; o < 16; ++o) sums.of[o] += weights.of[o] * x;
  }
  static void store(const Floats& sums, float* to) { __builtin_memcpy(to, sums.of, sizeof sums.of); }
};

}  // namespace

void sparse_sums(const SparseSums& sums) { sparse_sums_of<Machine>(sums); }

}  // namespace tranche::ops::TRANCHE_PATH
