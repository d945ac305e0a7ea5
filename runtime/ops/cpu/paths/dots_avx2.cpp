// x86-64-v3. Weights of eight bits: bytes widened to 16, whose products vpmaddwd adds in pairs without overflow;
// vpmaddubsw would saturate. Of fewer bits it does not, and multiplies twice as many at once.
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

// What the lowest 8 / parts bits of a byte are as a two's complement.
template <std::size_t parts> __m256i levels() {
  return _mm256_broadcastsi128_si256(parts == 2 ? _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1)
                                                : _mm_setr_epi8(0, 1, -2, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}

// 64 bytes hold 16 outputs of 4 columns, `parts` times. A sum of two products is at most 2 * 255 * 8: int16 holds 8
// quads'.
template <std::size_t parts, std::size_t rows> void dots_of_few_bits(const Dots& d) {
  constexpr int bits = 8 / parts, shift = 8 - bits;
  constexpr std::size_t most_quads = 8;
  const __m256i level = levels<parts>(), mask = _mm256_set1_epi8((1 << bits) - 1), ones = _mm256_set1_epi16(1);
  __m256i sums[rows][2];  // 8 outputs each
  for (std::size_t r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = _mm256_setzero_si256();
  for (std::size_t begin = 0; begin < d.quads; begin += most_quads) {
    const std::size_t end = d.quads - begin < most_quads ? d.quads : begin + most_quads;
    __m256i few[rows][2];
    for (std::size_t r = 0; r < rows; ++r) few[r][0] = few[r][1] = _mm256_setzero_si256();
    for (std::size_t quad = begin; quad < end; quad += parts) {
      __m256i packed[2];
      for (int i = 0; i < 2; ++i)
        packed[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(d.weights + 64 / parts * quad + 32 * i));
      for (std::size_t part = 0; part < parts; ++part) {
        __m256i weights[2];
        for (int i = 0; i < 2; ++i) {
          weights[i] = _mm256_shuffle_epi8(level, _mm256_and_si256(packed[i], mask));
          packed[i] = _mm256_srli_epi16(packed[i], bits);
        }
        for (std::size_t r = 0; r < rows; ++r) {
          int four;
          __builtin_memcpy(&four, d.x + r * d.stride + 4 * (quad + part), sizeof four);
          const __m256i x = _mm256_set1_epi32(four);
          for (int i = 0; i < 2; ++i) few[r][i] = _mm256_add_epi16(few[r][i], _mm256_maddubs_epi16(x, weights[i]));
        }
      }
    }
    for (std::size_t r = 0; r < rows; ++r)
      for (int i = 0; i < 2; ++i) sums[r][i] = _mm256_add_epi32(sums[r][i], _mm256_madd_epi16(few[r][i], ones));
  }
  for (std::size_t r = 0; r < rows; ++r)
    for (int i = 0; i < 2; ++i)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(d.sums + 16 * r + 8 * i), _mm256_slli_epi32(sums[r][i], shift));
}

template <std::size_t parts> void dots_of_few_bits(const Dots& d) {
  for_rows(d.rows, [&]<std::size_t rows>() { dots_of_few_bits<parts, rows>(d); });
}

}  // namespace

void dots_int8(const Dots& d) { dots_of<Machine, 1>(d); }
void dots_int4(const Dots& d) { dots_of_few_bits<2>(d); }
void dots_int2(const Dots& d) { dots_of_few_bits<4>(d); }

}  // namespace tranche::ops::TRANCHE_PATH
