// Sixteen lanes of float32 on every instruction path, by the compiler's vector types: an element's value does not
// depend on the width of the registers that carry it.
//
// Rules for the sources that include this. They are compiled once for each path, and the linker keeps one copy of every
// shared inline function or template, which could then hold instructions that the machine lacks. So everything here and
// there lives in namespace TRANCHE_PATH or is always inlined; no standard containers, algorithms or strings.
// tests/runtime/ops/instruction_paths.cpp looks at the objects. a * b + c is never fused; `fused` is, where a path can.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/base/dtype.h"

namespace tranche::ops::TRANCHE_PATH {

inline constexpr std::size_t lanes = 16;

typedef float Floats __attribute__((vector_size(64)));
typedef std::int32_t Ints __attribute__((vector_size(64)));
typedef std::uint32_t Words __attribute__((vector_size(64)));
typedef std::uint16_t Halves __attribute__((vector_size(32)));

#define TRANCHE_INLINE [[gnu::always_inline]] static inline

TRANCHE_INLINE Floats all(float x) { return x - Floats{}; }  // x - 0 is x for every x

// Masks are all ones or all zeros in each lane, as comparisons give them.
TRANCHE_INLINE Floats select(Ints mask, Floats yes, Floats no) { return mask ? yes : no; }
TRANCHE_INLINE Floats max(Floats a, Floats b) { return a > b ? a : b; }  // b where one is NaN
TRANCHE_INLINE Floats min(Floats a, Floats b) { return a < b ? a : b; }

// Conversions of runtime/base/dtype.h, lane by lane; the same bits.
TRANCHE_INLINE Floats widen(Halves bits, bfloat16) {
  return reinterpret_cast<Floats>(__builtin_convertvector(bits, Words) << 16);
}
TRANCHE_INLINE Floats widen(Halves halves, float16) {
  const Words bits = __builtin_convertvector(halves, Words);
  const Floats magnitude = reinterpret_cast<Floats>((bits & 0x7FFFu) << 13) * 0x1p112f;
  const Words special = reinterpret_cast<Words>((bits & 0x7C00u) == 0x7C00u) & 0x7F800000u;
  return reinterpret_cast<Floats>(reinterpret_cast<Words>(magnitude) | special | (bits & 0x8000u) << 16);
}
TRANCHE_INLINE Halves narrow(Floats x, bfloat16) {
  const Words bits = reinterpret_cast<Words>(x);
  const Words rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  const Words quiet = bits >> 16 | 0x40u;
  const Words result = (bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded;
  return __builtin_convertvector(result, Halves);
}
TRANCHE_INLINE Halves narrow(Floats x, float16) {
  const Words bits = reinterpret_cast<Words>(x), sign = bits >> 16 & 0x8000u, size = bits & 0x7FFFFFFFu;
  const Words normal = (size - 0x38000000u + 0xFFFu + (size >> 13 & 1u)) >> 13;
  const Words denormal = reinterpret_cast<Words>(reinterpret_cast<Floats>(size) + 0.5f) - 0x3F000000u;
  const Words finite = size < 0x38800000u ? denormal : normal;
  const Words nan = 0x7E00u | (size >> 13 & 0x3FFu);
  const Words infinite = Words{} + 0x7C00u;
  const Words overflown = size > 0x7F800000u ? nan : infinite;
  return __builtin_convertvector(sign | (size >= 0x477FF000u ? overflown : finite), Halves);
}

TRANCHE_INLINE Floats load(const float* from) {
  Floats x;
  __builtin_memcpy(&x, from, sizeof x);
  return x;
}
template <class Half> TRANCHE_INLINE Floats load(const Half* from) {
  Halves bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return widen(bits, Half{});
}
TRANCHE_INLINE void store(Floats x, float* to) { __builtin_memcpy(to, &x, sizeof x); }
template <class Half> TRANCHE_INLINE void store(Floats x, Half* to) {
  const Halves bits = narrow(x, Half{});
  __builtin_memcpy(to, &bits, sizeof bits);
}

// The first `count` < lanes elements; the other lanes are `rest`, and nothing beyond the elements is touched.
template <class T> TRANCHE_INLINE Floats load_some(const T* from, std::size_t count, float rest = 0) {
  Floats x = all(rest);
  for (std::size_t i = 0; i < count; ++i) x[i] = to_float(from[i]);
  return x;
}
template <class T> TRANCHE_INLINE void store_some(Floats x, T* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) to[i] = from_float<T>(x[i]);
}

// Lanes in pairs of equal distance: ((0+8)+(4+12))+..., one order on every path.
TRANCHE_INLINE float sum(Floats x) {
  float part[lanes];
  __builtin_memcpy(part, &x, sizeof x);
  for (std::size_t half = lanes / 2; half != 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) part[i] += part[i + half];
  return part[0];
}
TRANCHE_INLINE float largest(Floats x) {
  float result = x[0];
  for (std::size_t i = 1; i < lanes; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

// e^x, within 2 units in the last place; 0 below -104, infinity above 88.8, NaN stays. No fused products: the same bits
// on every path. Reduction and polynomial as in Cephes' expf (Moshier).
TRANCHE_INLINE Floats exp(Floats x) {
  const Floats bounded = min(all(89.0f), max(all(-105.0f), x));  // a NaN stays one
  const Floats shifted = bounded * 1.44269504f + 0x1.8p23f;      // rounds to an integer in the low bits
  const Ints exponent = reinterpret_cast<Ints>(shifted) - 0x4B400000;
  const Floats whole = shifted - 0x1.8p23f;
  const Floats r = bounded - whole * 0.693359375f - whole * -2.12194440e-4f;  // the first product is exact
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const Ints first = exponent >> 1, second = exponent - first;  // two factors reach the denormals
  const Floats y = p * reinterpret_cast<Floats>((first + 127) << 23) * reinterpret_cast<Floats>((second + 127) << 23);
  return x == x ? y : x;  // the NaN itself
}

// Calls work(T{}) with the C++ type of a floating dtype.
template <class Work> TRANCHE_INLINE void with_type(DType dtype, const Work& work) {
  if (dtype == DType::bfloat16)
    work(bfloat16{});
  else if (dtype == DType::float16)
    work(float16{});
  else
    work(float{});
}

}  // namespace tranche::ops::TRANCHE_PATH
