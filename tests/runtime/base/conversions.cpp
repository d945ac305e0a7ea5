#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "runtime/base/dtype.h"

namespace tranche {
namespace {

// An independent reference: the value of a half from its fields, in double.
double value_of(std::uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int sign = bits >> 15, exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1), bias = (1 << (exponent_bits - 1)) - 1;
  double value;
  if (exponent == (1 << exponent_bits) - 1)
    value = mantissa == 0 ? HUGE_VAL : NAN;
  else if (exponent == 0)
    value = std::ldexp(mantissa, 1 - bias - mantissa_bits);
  else
    value = std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
  return sign ? -value : value;
}

template <class Half> struct Format;
template <> struct Format<float16> { static constexpr int exponent = 5, mantissa = 10; };
template <> struct Format<bfloat16> { static constexpr int exponent = 8, mantissa = 7; };

template <class Half> class Conversions : public ::testing::Test {};
using Halves = ::testing::Types<float16, bfloat16>;
TYPED_TEST_SUITE(Conversions, Halves);

TYPED_TEST(Conversions, WideningIsExactForEveryHalf) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const double expected =
        value_of(static_cast<std::uint16_t>(bits), Format<TypeParam>::exponent, Format<TypeParam>::mantissa);
    const float actual = to_float(TypeParam{static_cast<std::uint16_t>(bits)});
    if (std::isnan(expected))
      ASSERT_TRUE(std::isnan(actual)) << bits;
    else
      ASSERT_EQ(static_cast<double>(actual), expected) << bits;
    ASSERT_EQ(std::signbit(actual), (bits & 0x8000u) != 0) << bits;
  }
}

TYPED_TEST(Conversions, EveryHalfSurvivesTheRoundTrip) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const TypeParam half{static_cast<std::uint16_t>(bits)};
    const TypeParam back = from_float<TypeParam>(to_float(half));
    if (std::isnan(to_float(half)))
      ASSERT_TRUE(std::isnan(to_float(back))) << bits;
    else
      ASSERT_EQ(back.bits, half.bits) << bits;
  }
}

// Around every boundary between two neighbouring halves: just below the middle, the middle (ties to even), just above.
TYPED_TEST(Conversions, NarrowingRoundsToNearestEven) {
  const std::uint16_t infinity =
      static_cast<std::uint16_t>(((1 << Format<TypeParam>::exponent) - 1) << Format<TypeParam>::mantissa);
  for (std::uint16_t low = 0; low < infinity; ++low) {
    const double below = value_of(low, Format<TypeParam>::exponent, Format<TypeParam>::mantissa);
    // The neighbour of the largest finite value is where infinity would be.
    const double above = low + 1 == infinity ? std::ldexp(1, (1 << (Format<TypeParam>::exponent - 1)))
                                             : value_of(static_cast<std::uint16_t>(low + 1),
                                                        Format<TypeParam>::exponent, Format<TypeParam>::mantissa);
    const double exact_middle = (below + above) / 2;
    if (exact_middle > 3.4028235e38 || (exact_middle != 0 && exact_middle < 0x1p-149)) continue;
    const float middle = static_cast<float>(exact_middle);
    if (static_cast<double>(middle) != exact_middle) continue;  // below float32's own resolution
    const std::uint16_t high = static_cast<std::uint16_t>(low + 1), even = low % 2 == 0 ? low : high;
    ASSERT_EQ(from_float<TypeParam>(middle).bits, even) << low;
    ASSERT_EQ(from_float<TypeParam>(std::nextafter(middle, 0.0f)).bits, low) << low;
    ASSERT_EQ(from_float<TypeParam>(std::nextafter(middle, HUGE_VALF)).bits, high) << low;
    ASSERT_EQ(from_float<TypeParam>(-middle).bits, even | 0x8000u) << low;
  }
}

TYPED_TEST(Conversions, EdgesOfFloat32) {
  const auto bits_of = [](float x) { return from_float<TypeParam>(x).bits; };
  EXPECT_EQ(bits_of(0.0f), 0u);
  EXPECT_EQ(bits_of(-0.0f), 0x8000u);
  EXPECT_TRUE(std::isinf(to_float(from_float<TypeParam>(HUGE_VALF))));
  EXPECT_TRUE(std::isinf(to_float(from_float<TypeParam>(-HUGE_VALF))));
  EXPECT_TRUE(std::isinf(to_float(from_float<TypeParam>(std::numeric_limits<float>::max()))));
  EXPECT_EQ(bits_of(std::numeric_limits<float>::denorm_min()), 0u);
  for (const std::uint32_t nan : {0x7F800001u, 0x7FC00000u, 0x7FFFFFFFu, 0xFF800001u, 0xFFFFFFFFu})
    EXPECT_TRUE(std::isnan(to_float(from_float<TypeParam>(std::bit_cast<float>(nan))))) << nan;
}

TEST(Conversions, Float16OverflowsBeyond65504) {
  EXPECT_EQ(to_float(from_float<float16>(65519.996f)), 65504.0f);
  EXPECT_TRUE(std::isinf(to_float(from_float<float16>(65520.0f))));
}

}  // namespace
}  // namespace tranche
