// x86-64-v3: eight values at once are permuted into their places, by a table of 256 permutations.
#include <immintrin.h>

#include "runtime/ops/cpu/paths/sparse_sums_loop.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

// Of eight places: which of the values comes to each, a byte each; below zero where none does.
struct Permutations {
  std::uint64_t of[256] = {};

  constexpr Permutations() {
    for (unsigned places = 0; places < 256; ++places)
      for (unsigned place = 0, next = 0; place < 8; ++place)
        of[places] |= std::uint64_t{(places >> place & 1u) != 0 ? next++ : 0x80u} << 8 * place;
  }
};
constexpr Permutations permutations;

struct Machine {
  struct Floats {
    __m256 half[2];
  };

  static Floats zero() { return {{_mm256_setzero_ps(), _mm256_setzero_ps()}}; }
  static __m256 spread_half(unsigned places, const float* values) {
    const __m128i bytes = _mm_cvtsi64_si128(static_cast<long long>(permutations.of[places]));
    const __m256i from = _mm256_cvtepi8_epi32(bytes);
    const __m256 moved = _mm256_permutevar8x32_ps(_mm256_loadu_ps(values), from);
    return _mm256_blendv_ps(moved, _mm256_setzero_ps(), _mm256_castsi256_ps(from));
  }
  static Floats spread(unsigned places, const float* values) {
    const unsigned lower = places & 0xFFu;
    return {{spread_half(lower, values), spread_half(places >> 8, values + __builtin_popcount(lower))}};
  }
  static void add(Floats& sums, const Floats& weights, float x) {
    for (int i = 0; i < 2; ++i)
      sums.half[i] = _mm256_add_ps(sums.half[i], _mm256_mul_ps(weights.half[i], _mm256_set1_ps(x)));
  }
  static void store(const Floats& sums, float* to) {
    for (int i = 0; i < 2; ++i) _mm256_storeu_ps(to + 8 * i, sums.half[i]);
  }
};

}  // namespace

void sparse_sums(const SparseSums& sums) { sparse_sums_of<Machine>(sums); }

}  // namespace tranche::ops::TRANCHE_PATH
