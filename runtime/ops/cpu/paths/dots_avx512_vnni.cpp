// x86-64-v4 with VNNI: one instruction multiplies 64 unsigned with 64 signed bytes and adds them in fours to int32.
#include <immintrin.h>

#include "runtime/ops/cpu/paths/dots_loop.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

struct Machine {
  using Weights = __m512i;
  using Sums = __m512i;

  static Sums zero() { return _mm512_setzero_si512(); }
  static void load(const std::byte* from, Weights (&weights)[1]) { weights[0] = _mm512_loadu_si512(from); }
  static void load(const std::byte* from, Weights (&weights)[2]) {
    const __m512i upper_half = _mm512_set1_epi8(static_cast<char>(0xF0)), both = _mm512_loadu_si512(from);
    weights[0] = _mm512_and_si512(_mm512_slli_epi16(both, 4), upper_half);
    weights[1] = _mm512_and_si512(both, upper_half);
  }
  static void load(const std::byte* from, Weights (&weights)[4]) {
    const __m512i upper_bits = _mm512_set1_epi8(static_cast<char>(0xC0)), all = _mm512_loadu_si512(from);
    weights[0] = _mm512_and_si512(_mm512_slli_epi16(all, 6), upper_bits);
    weights[1] = _mm512_and_si512(_mm512_slli_epi16(all, 4), upper_bits);
    weights[2] = _mm512_and_si512(_mm512_slli_epi16(all, 2), upper_bits);
    weights[3] = _mm512_and_si512(all, upper_bits);
  }
  static void add(Sums& sums, const Weights& weights, const std::uint8_t* x) {
    int quad;
    __builtin_memcpy(&quad, x, sizeof quad);
    sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(quad), weights);
  }
  static void store(const Sums& sums, std::int32_t* to) { _mm512_storeu_si512(to, sums); }
};

}  // namespace

void dots_int8(const Dots& d) { dots_of<Machine, 1>(d); }
void dots_int4(const Dots& d) { dots_of<Machine, 2>(d); }
void dots_int2(const Dots& d) { dots_of<Machine, 4>(d); }

}  // namespace tranche::ops::TRANCHE_PATH
