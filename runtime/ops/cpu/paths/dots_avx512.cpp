// x86-64-v4: as dots_avx2.cpp, in registers twice as wide.
#include <immintrin.h>

#include "runtime/ops/cpu/paths/dots_loop.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

struct Machine {
  struct Weights {
    __m512i part[2];  // 8 outputs of 4 columns each, int16
  };
  struct Sums {
    __m512i part[2];  // 8 outputs each, int32, as two halves side by side
  };

  static __m256i half(const std::byte* from, int i) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 32 * i));
  }
  static Sums zero() { return {{_mm512_setzero_si512(), _mm512_setzero_si512()}}; }
  static void load(const std::byte* from, Weights (&weights)[1]) {
    for (int i = 0; i < 2; ++i) weights[0].part[i] = _mm512_cvtepi8_epi16(half(from, i));
  }
  static void load(const std::byte* from, Weights (&weights)[2]) {
    const __m256i upper_half = _mm256_set1_epi8(static_cast<char>(0xF0));
    for (int i = 0; i < 2; ++i) {
      const __m256i both = half(from, i);
      weights[0].part[i] = _mm512_cvtepi8_epi16(_mm256_and_si256(_mm256_slli_epi16(both, 4), upper_half));
      weights[1].part[i] = _mm512_cvtepi8_epi16(_mm256_and_si256(both, upper_half));
    }
  }
  static void load(const std::byte* from, Weights (&weights)[4]) {
    const __m256i upper_bits = _mm256_set1_epi8(static_cast<char>(0xC0));
    for (int i = 0; i < 2; ++i) {
      const __m256i all = half(from, i);
      weights[0].part[i] = _mm512_cvtepi8_epi16(_mm256_and_si256(_mm256_slli_epi16(all, 6), upper_bits));
      weights[1].part[i] = _mm512_cvtepi8_epi16(_mm256_and_si256(_mm256_slli_epi16(all, 4), upper_bits));
      weights[2].part[i] = _mm512_cvtepi8_epi16(_mm256_and_si256(_mm256_slli_epi16(all, 2), upper_bits));
      weights[3].part[i] = _mm512_cvtepi8_epi16(_mm256_and_si256(all, upper_bits));
    }
  }
  static void add(Sums& sums, const Weights& weights, const std::uint8_t* x) {
    int quad;
    __builtin_memcpy(&quad, x, sizeof quad);
    const __m512i wide = _mm512_cvtepu8_epi16(_mm256_set1_epi32(quad));
    for (int i = 0; i < 2; ++i) sums.part[i] = _mm512_add_epi32(sums.part[i], _mm512_madd_epi16(weights.part[i], wide));
  }
  static void store(const Sums& sums, std::int32_t* to) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_permutex2var_epi32(sums.part[0], even, sums.part[1]),
                                             _mm512_permutex2var_epi32(sums.part[0], odd, sums.part[1])));
  }
};

}  // namespace

void dots_int8(const Dots& d) { dots_of<Machine, 1>(d); }
void dots_int4(const Dots& d) { dots_of<Machine, 2>(d); }
void dots_int2(const Dots& d) { dots_of<Machine, 4>(d); }

}  // namespace tranche::ops::TRANCHE_PATH
