// x86-64-v4: vexpandps puts values into their places.
#include <immintrin.h>

#include "runtime/ops/cpu/paths/sparse_sums_loop.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

struct Machine {
  using Floats = __m512;

  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats spread(unsigned places, const float* values) {
    return _mm512_maskz_expand_ps(static_cast<__mmask16>(places), _mm512_loadu_ps(values));
  }
  static void add(Floats& sums, Floats weights, float x) {
    sums = _mm512_add_ps(sums, _mm512_mul_ps(weights, _mm512_set1_ps(x)));
  }
  static void store(Floats sums, float* to) { _mm512_storeu_ps(to, sums); }
};

}  // namespace

void sparse_sums(const SparseSums& sums) { sparse_sums_of<Machine>(sums); }

}  // namespace tranche::ops::TRANCHE_PATH
