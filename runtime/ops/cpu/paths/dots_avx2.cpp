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

  static Sums zero() {
    const __m256i none = _mm256_setzero_si256();
    return {{none, none, none, none}};
  }
  static Weights load(const std::byte* from) {
    Weights weights;
    for (int i = 0; i < 4; ++i)
      weights.part[i] = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 16 * i)));
    return weights;
  }
  static void load_halves(const std::byte* from, Weights& lower, Weights& upper) {
    const __m128i high_half = _mm_set1_epi8(static_cast<char>(0xF0));
    for (int i = 0; i < 4; ++i) {
      const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 16 * i));
      lower.part[i] = _mm256_cvtepi8_epi16(_mm_and_si128(_mm_slli_epi16(both, 4), high_half));
      upper.part[i] = _mm256_cvtepi8_epi16(_mm_and_si128(both, high_half));
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

void dots_int8(const Dots& d) { int8_dots<Machine>(d); }
void dots_int4(const Dots& d) { int4_dots<Machine>(d); }

}  // namespace tranche::ops::TRANCHE_PATH
