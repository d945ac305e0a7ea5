// x86-64-v4 with VNNI: one instruction multiplies 64 unsigned with 64 signed bytes and adds them in fours to int32.
#include <immintrin.h>

#include "runtime/ops/cpu/paths/dots_loop.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

struct Machine {
  using Weights = __m512i;
  using Sums = __m512i;

  static Sums zero() { return _mm512_setzero_si512(); }
  static Weights load(const std::byte* from) { return _mm512_loadu_si512(from); }
  static void load_halves(const std::byte* from, Weights& lower, Weights& upper) {
    const __m512i high_half = _mm512_set1_epi8(static_cast<char>(0xF0)), both = _mm512_loadu_si512(from);
    lower = _mm512_and_si512(_mm512_slli_epi16(both, 4), high_half);
    upper = _mm512_and_si512(both, high_half);
  }
  static void add(Sums& sums, const Weights& weights, const std::uint8_t* x) {
    int quad;
    __builtin_memcpy(&quad, x, sizeof quad);
    sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(quad), weights);
  }
  static void store(const Sums& sums, std::int32_t* to) { _mm512_storeu_si512(to, sums); }
};

}  // namespace

void dots_int8(const Dots& d) { int8_dots<Machine>(d); }
void dots_int4(const Dots& d) { int4_dots<Machine>(d); }

}  // namespace tranche::ops::TRANCHE_PATH
