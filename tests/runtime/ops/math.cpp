// The kernels' elementary functions against double precision.
#include "runtime/ops/functors/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "runtime/ops/functors/random.h"

namespace tranche::ops {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();

// |result - exact| in units of the last place of a float near `exact`.
double error_in_ulp(float result, double exact) {
  const float rounded = static_cast<float>(exact);
  if (!std::isfinite(rounded))
    return std::isnan(exact) ? (std::isnan(result) ? 0 : 1e9) : (result == rounded ? 0 : 1e9);
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::fabs(double{result} - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

// The worst error over the floats of [low, high], taking one in `stride` of them in the order of their bits.
template <class Function, class Exact>
double worst_error(float low, float high, const Function& function, const Exact& exact, std::uint32_t stride = 4099) {
  double worst = 0;
  for (std::uint64_t bits = 0; bits <= 0xFFFFFFFFu; bits += stride) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (x >= low && x <= high) worst = std::max(worst, error_in_ulp(function(x), exact(double{x})));
  }
  for (const float x : {low, high}) worst = std::max(worst, error_in_ulp(function(x), exact(double{x})));
  return worst;
}

double exact_exp(double x) { return std::exp(x); }
double exact_log(double x) { return std::log(x); }
double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double exact_normal_cdf(double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); }

TEST(ElementaryFunctions, ExpIsWithinOneUlp) {
  const auto f = [](float x) { return functors::exp(x); };
  EXPECT_LE(worst_error(-87.3f, 88.72f, f, exact_exp, 509), 1.0);
  EXPECT_LE(worst_error(-infinity, -87.3f, f, exact_exp), 2.0);
  EXPECT_LE(worst_error(88.73f, infinity, f, exact_exp), 0.0);
  EXPECT_EQ(functors::exp(0.0f), 1.0f);
  EXPECT_EQ(functors::exp(-infinity), 0.0f);
  EXPECT_EQ(functors::exp(infinity), infinity);
  EXPECT_TRUE(std::isnan(functors::exp(nan)));
  EXPECT_TRUE(std::isnan(functors::exp(-nan)));
}

TEST(ElementaryFunctions, LogIsWithinOneUlp) {
  const auto f = [](float x) { return functors::log(x); };
  EXPECT_LE(worst_error(0.0f, infinity, f, exact_log), 1.0);
  EXPECT_LE(worst_error(0.5f, 2.0f, f, exact_log, 17), 1.0);
  EXPECT_EQ(functors::log(1.0f), 0.0f);
  EXPECT_EQ(functors::log(0.0f), -infinity);
  EXPECT_EQ(functors::log(-0.0f), -infinity);
  EXPECT_EQ(functors::log(infinity), infinity);
  EXPECT_TRUE(std::isnan(functors::log(-1.0f)));
  EXPECT_TRUE(std::isnan(functors::log(-infinity)));
  EXPECT_TRUE(std::isnan(functors::log(nan)));
}

TEST(ElementaryFunctions, SigmoidIsWithinThreeUlp) {
  const auto f = [](float x) { return functors::sigmoid(x); };
  EXPECT_LE(worst_error(-infinity, infinity, f, exact_sigmoid), 3.0);
  EXPECT_EQ(functors::sigmoid(0.0f), 0.5f);
  EXPECT_EQ(functors::sigmoid(infinity), 1.0f);
  EXPECT_EQ(functors::sigmoid(-infinity), 0.0f);
  EXPECT_TRUE(std::isnan(functors::sigmoid(nan)));
}

TEST(ElementaryFunctions, SigmoidsSlopeIsWithinFiveUlp) {
  const auto value = [](float x) { return functors::sigmoid_and_slope(x).value; };
  const auto slope = [](float x) { return functors::sigmoid_and_slope(x).slope; };
  const auto exact_slope = [](double x) { return exact_sigmoid(x) * exact_sigmoid(-x); };
  EXPECT_LE(worst_error(-87.0f, infinity, value, exact_sigmoid), 4.0);
  EXPECT_LE(worst_error(-87.0f, 87.0f, slope, exact_slope), 5.0);
  EXPECT_EQ(functors::sigmoid_and_slope(infinity).slope, 0.0f);
  EXPECT_EQ(functors::sigmoid_and_slope(-infinity).slope, 0.0f);
  EXPECT_TRUE(std::isnan(functors::sigmoid_and_slope(nan).slope));
}

TEST(ElementaryFunctions, NormalCdfIsWithinItsBounds) {
  const auto f = [](float x) { return functors::normal_cdf(x); };
  EXPECT_LE(worst_error(-1.0f, infinity, f, exact_normal_cdf), 6.0);
  EXPECT_LE(worst_error(-5.0f, -1.0f, f, exact_normal_cdf), 34.0);  // 2e-6
  EXPECT_EQ(functors::normal_cdf(infinity), 1.0f);
  EXPECT_EQ(functors::normal_cdf(-infinity), 0.0f);
  EXPECT_TRUE(std::isnan(functors::normal_cdf(nan)));
}

TEST(ElementaryFunctions, CosineAndSineAreWithinTwoUlp) {
  double worst = 0;
  for (std::uint32_t i = 0; i < 1u << 24; i += 13) {
    const float turns = static_cast<float>(i) * 0x1p-24f;
    // From the nearest quarter, so that the reference is exact near zeros.
    const int quarter = static_cast<int>(std::nearbyint(turns * 4.0));
    const double angle = (turns - quarter * 0.25) * 2 * std::acos(-1.0), c = std::cos(angle), s = std::sin(angle);
    const double cosines[] = {c, -s, -c, s}, sines[] = {s, c, -s, -c};
    const functors::CosineSine result = functors::cosine_sine_of_turns(turns);
    worst = std::max(
        {worst, error_in_ulp(result.cosine, cosines[quarter % 4]), error_in_ulp(result.sine, sines[quarter % 4])});
  }
  EXPECT_LE(worst, 2.0);
  EXPECT_EQ(functors::cosine_sine_of_turns(0.0f).cosine, 1.0f);
  EXPECT_EQ(functors::cosine_sine_of_turns(0.25f).sine, 1.0f);
  EXPECT_EQ(functors::cosine_sine_of_turns(0.5f).cosine, -1.0f);
  EXPECT_EQ(functors::cosine_sine_of_turns(0.75f).sine, -1.0f);
}

TEST(PhiloxGroups, AreTheStreamsNumbersAcrossTheCountersWords) {
  const RandomKey key = RandomKey{7, Purpose::dropout}(3);
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{5}, (std::uint64_t{1} << 32) - 3}) {
    std::uint32_t words[4][16];
    functors::philox_groups(key.bits(), first, words);
    for (std::size_t i = 0; i < 16; ++i)
      for (std::size_t word = 0; word < 4; ++word) EXPECT_EQ(words[word][i], key.number(4 * (first + i) + word));
  }
}

}  // namespace
}  // namespace tranche::ops
