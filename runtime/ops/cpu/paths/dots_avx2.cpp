// x86-64-v3: bytes widened to 16 bits, whose products vpmaddwd adds in pairs without overflow. (vpmaddubsw would
// saturate.)
#include <immintrin.h>

#include "runtime/ops/cpu/paths/dots_loop.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

struct Machine {
  struct Weights {
    __m256i part[4];  // 4 outputs of 4 columns each, int16
  };
  struct Sums {
    __m256i part[4];  // 4 outputs each, int32, as two halves side by side
  };

  static __m128i quarter(const std::byte* from, int i) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 16 * i));
  }
  static Sums zero() {
    const __m256i none = _mm256_setzero_si256();
    return {{none, none, none, none}};
  }
  static void load(const std::byte* from, Weights (&weights)[1]) {
    for (int i = 0; i < 4; ++i) weights[0].part[i] = _mm256_cvtepi8_epi16(quarter(from, i));
  }
  static void load(const std::byte* from, Weights (&weights)[2]) {
    const __m128i upper_half = _mm_set1_epi8(static_cast<char>(0xF0));
    for (int i = 0; i < 4; ++i) {
      const __m128i both = quarter(from, i);
      weights[0].part[i] = _mm256_cvtepi8_epi16(_mm_and_si128(_mm_slli_epi16(both, 4), upper_half));
      weights[1].part[i] = _mm256_cvtepi8_epi16(_mm_and_si128(both, upper_half));
    }
  }
  static void load(const std::byte* from, Weights (&weights)[4]) {
    const __m128i upper_bits = _mm_set1_epi8(static_cast<char>(0xC0));
    for (int i = 0; i < 4; ++i) {
      const __m128i all = quarter(from, i);
      weights[0].part[i] = _mm256_cvtepi8_epi16(_mm_and_si128(_mm_slli_epi16(all, 6), upper_bits));
      weights[1].part[i] = _mm256_cvtepi8_epi16(_mm_and_si128(_mm_slli_epi16(all, 4), upper_bits));
      weights[2].part[i] = _mm256_cvtepi8_epi16(_mm_and_si128(_mm_slli_epi16(all, 2), upper_bits));
      weights[3].part[i] = _mm256_cvtepi8_epi16(_mm_and_si128(all, upper_bits));
    }
  }
  static void add(Sums& sums, const Weights& weights, const std::uint8_t* x) {
    int quad;
    __builtin_memcpy(&quad, x, sizeof quad);
    const __m256i wide = _mm256_cvtepu8_epi16(_mm_set1_epi32(quad));
    for (int i = 0; i < 4; ++i) sums.part[i] = _mm256_add_epi32(sums.part[i], _mm256_madd_epi16(weights.part[i], wide));
  }
  static void store(const Sums& sums, std::int32_t* to) {
    for (int i = 0; i < 4; i += 2) {
      const __m256i pairs = _mm256_hadd_epi32(sums.part[i], sums.part[i + 1]);  // outputs 0 1 4 5, 2 3 6 7
      const __m256i ordered = _mm256_permute4x64_epi64(pairs, 0b11'01'10'00);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 4 * i), ordered);
    }
  }
};

}  // namespace

void dots_int8(const Dots& d) { dots_of<Machine, 1>(d); }
void dots_int4(const Dots& d) { dots_of<Machine, 2>(d); }
void dots_int2(const Dots& d) { dots_of<Machine, 4>(d); }

}  // namespace tranche::ops::TRANCHE_PATH
