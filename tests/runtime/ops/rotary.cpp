#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/ops/functors/rotary.h"
#include "tests/runtime/ops/operands.h"

namespace tranche::ops {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Rotary : public testing::TestWithParam<DType> {
 protected:
  TestDevice device{2};
  DType dtype = GetParam();

  // What `rotary` does to element `column` of a row, turned by direction * angle.
  static double turned(const std::vector<double>& x, std::size_t row, std::size_t column, const AttentionShape& s,
                       double theta, double direction) {
    const std::size_t at = row * s.qkv_width() + column, half = s.head_width / 2;
    if (column >= (s.heads + s.groups) * s.head_width) return x[at];
    const std::size_t c = column % s.head_width, pair = c % half;
    const double position = static_cast<double>(row % s.sequence);
    const double angle = position * std::pow(theta, -2 * static_cast<double>(pair) / static_cast<double>(s.head_width));
    const double sine = direction * std::sin(angle);
    return c < half ? x[at] * std::cos(angle) - x[at + half] * sine : x[at] * std::cos(angle) + x[at - half] * sine;
  }
};

TEST_P(Rotary, TurnsQueriesAndKeysByTheirPositionAndCopiesValues) {
  for (const AttentionShape& s :
       {shape_of(2, 33, 4, 2, 64), shape_of(1, 5, 1, 1, 2), shape_of(1, 300, 2, 2, 10), shape_of(1, 3, 1, 1, 300)}) {
    const Tensor x = random(device, {s.batch * s.sequence, s.qkv_width()}, dtype, 1),
                 y = make(device, x.shape(), dtype);
    const std::vector<double> from = values(x);
    rotary(x, s, 10000, y);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double expected = turned(from, i / s.qkv_width(), i % s.qkv_width(), s, 10000, 1);
      ASSERT_NEAR(value(y, i), expected, rounding(dtype, expected) * 1.01 + 2.5e-7) << i;
    }
    rotary(x, s, 10000, x);
    EXPECT_EQ(bits(x), bits(y)) << "in place";
  }
}

TEST_P(Rotary, GradientTurnsBack) {
  const AttentionShape s = shape_of(2, 40, 4, 2, 32);
  const Tensor dy = random(device, {s.batch * s.sequence, s.qkv_width()}, dtype, 1);
  const Tensor dx = random(device, dy.shape(), dtype, 2);
  const std::vector<double> from = values(dy), held = values(dx);
  rotary_gradient(dy, s, 500, {dx, true});
  for (std::size_t i = 0; i < dx.size(); ++i) {
    const double expected = held[i] + turned(from, i / s.qkv_width(), i % s.qkv_width(), s, 500, -1);
    ASSERT_NEAR(value(dx, i), expected, rounding(dtype, expected) * 1.01 + 2.5e-7) << i;
  }
  rotary_gradient(dy, s, 500, {dx, false});
  rotary_gradient(dy, s, 500, {dy, false});
  EXPECT_EQ(bits(dy), bits(dx)) << "in place";
}

INSTANTIATE_TEST_SUITE_P(DTypes, Rotary, testing::Values(DType::float32, DType::bfloat16, DType::float16),
                         [](const auto& test) { return std::string{name_of(test.param)}; });

TEST_P(Rotary, PositionsBeginWhereTheyAreToldTo) {
  const AttentionShape all = shape_of(1, 20, 2, 1, 16), last = shape_of(1, 7, 2, 1, 16);
  const Tensor x = random(device, {20, all.qkv_width()}, dtype, 1), y = make(device, x.shape(), dtype);
  rotary(x, all, 10000, y);
  const Tensor end = x.view(13 * all.qkv_width(), {7, all.qkv_width()}), turned = make(device, end.shape(), dtype);
  rotary(end, last, 10000, turned, 13);
  EXPECT_EQ(bits(turned), bits(y.view(13 * all.qkv_width(), end.shape())));
}

TEST(RotaryAngles, AreThoseOfTheLibraryInDouble) {
  const double ratio = functors::rotary_ratio(10000, 128);
  for (std::size_t pair = 0; pair < 64; ++pair)
    for (std::size_t position = 0; position < 100000; position = position * 5 / 4 + 1) {
      const double angle = static_cast<double>(position) * std::pow(10000.0, -2 * static_cast<double>(pair) / 128);
      const functors::Angle got = functors::rotary_angle(ratio, pair, position);
      ASSERT_NEAR(got.cosine, std::cos(angle), 0x1p-25 + 1e-9) << position << ", " << pair;
      ASSERT_NEAR(got.sine, std::sin(angle), 0x1p-25 + 1e-9) << position << ", " << pair;
    }
  for (int i = 0; i <= 40000; ++i) {
    const double turns = i / 8000.0, angle = (turns - std::nearbyint(turns)) * 2 * std::acos(-1.0);
    const functors::Direction got = functors::direction_of_turns(turns);
    ASSERT_NEAR(got.cosine, std::cos(angle), 1e-15) << turns;
    ASSERT_NEAR(got.sine, std::sin(angle), 1e-15) << turns;
  }
}

TEST(RotaryErrors, NameTheOpAndWhatIsWrong) {
  TestDevice device;
  const Tensor qkv = make(device, {4, 36}, DType::float32);
  EXPECT_THAT([&] { rotary(qkv, shape_of(1, 4, 4, 4, 3), 10000, qkv); },
              ThrowsMessage<Error>(HasSubstr("rotary: head_width 3 is odd")));
}

}  // namespace
}  // namespace tranche::ops
