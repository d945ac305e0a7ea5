// Element types, and exact conversions between them (IEEE 754, to nearest, ties to even; NaN stays NaN, infinities
// stay).
//
// Branch-free integer arithmetic, so that loops over them are vectorised on every instruction path and the same lines
// serve a GPU. Denormals are kept.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#if defined(__CUDACC__)
#define TRANCHE_HOST_DEVICE __host__ __device__
#else
#define TRANCHE_HOST_DEVICE
#endif

namespace tranche {

struct bfloat16 {
  std::uint16_t bits;
};
struct float16 {
  std::uint16_t bits;
};

// int8 and uint8 hold quantized values; a uint8 may hold two of four bits.
enum class DType : std::uint8_t { float32, bfloat16, float16, int32, int8, uint8 };

constexpr std::size_t bytes_of(DType dtype) {
  constexpr std::size_t sizes[] = {4, 2, 2, 4, 1, 1};
  return sizes[static_cast<std::size_t>(dtype)];
}
constexpr std::string_view name_of(DType dtype) {
  constexpr std::string_view names[] = {"float32", "bfloat16", "float16", "int32", "int8", "uint8"};
  return names[static_cast<std::size_t>(dtype)];
}
constexpr bool is_half(DType dtype) { return dtype == DType::bfloat16 || dtype == DType::float16; }
constexpr bool is_floating(DType dtype) { return dtype == DType::float32 || is_half(dtype); }

template <class T> constexpr DType dtype_of = DType::float32;
template <> inline constexpr DType dtype_of<bfloat16> = DType::bfloat16;
template <> inline constexpr DType dtype_of<float16> = DType::float16;
template <> inline constexpr DType dtype_of<std::int32_t> = DType::int32;
template <> inline constexpr DType dtype_of<std::int8_t> = DType::int8;
template <> inline constexpr DType dtype_of<std::uint8_t> = DType::uint8;

TRANCHE_HOST_DEVICE inline float to_float(float x) { return x; }

TRANCHE_HOST_DEVICE inline float to_float(bfloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

// A float16 is its 15 low bits moved to a float's exponent and mantissa, times 2^112: exact for denormals as well.
// Infinities and NaNs get the exponent that the product misses.
TRANCHE_HOST_DEVICE inline float to_float(float16 x) {
  const std::uint32_t bits = x.bits;
  const float magnitude = std::bit_cast<float>((bits & 0x7FFFu) << 13) * 0x1p112f;
  const std::uint32_t special = (bits & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | special | (bits & 0x8000u) << 16);
}

template <class T> TRANCHE_HOST_DEVICE T from_float(float x);

template <> TRANCHE_HOST_DEVICE inline float from_float<float>(float x) { return x; }

template <> TRANCHE_HOST_DEVICE inline bfloat16 from_float<bfloat16>(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  const std::uint32_t quiet = bits >> 16 | 0x40u;  // a NaN whose payload is cut must not become infinite
  return {static_cast<std::uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded)};
}

template <> TRANCHE_HOST_DEVICE inline float16 from_float<float16>(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x), sign = bits >> 16 & 0x8000u, size = bits & 0x7FFFFFFFu;
  const std::uint32_t normal = (size - 0x38000000u + 0xFFFu + (size >> 13 & 1u)) >> 13;  // rebias 127 to 15
  // Below 2^-14 the addition of 0.5 rounds to a multiple of 2^-24 and leaves it in the low bits of the mantissa.
  const std::uint32_t denormal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5f) - 0x3F000000u;
  const std::uint32_t finite = size < 0x38800000u ? denormal : normal;
  const std::uint32_t overflown = size > 0x7F800000u ? 0x7E00u | (size >> 13 & 0x3FFu) : 0x7C00u;
  return {static_cast<std::uint16_t>(sign | (size >= 0x477FF000u ? overflown : finite))};
}

// Denormal sums above rely on gradual underflow: nothing in this program may set flush-to-zero.
template <class T> TRANCHE_HOST_DEVICE inline float rounded_to(float x) { return to_float(from_float<T>(x)); }

}  // namespace tranche
