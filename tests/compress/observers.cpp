#include "compress/observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "compress/histogram.h"
#include "runtime/base/error.h"

namespace tranche::compress {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::string message_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::vector<float> normal(std::size_t count, float deviation = 1) {
  std::mt19937 random{5};
  std::normal_distribution<float> draw{0, deviation};
  std::vector<float> values(count);
  for (float& x : values) x = draw(random);
  return values;
}

TEST(MinMax, IsFoundForEachScaleOfAGrid) {
  const std::vector<float> values{1, -2, 3, 4, 5, -6, 7, 8, 9, 10};
  EXPECT_THAT(min_max(values, ops::QuantizationGrid::per_tensor(10), "x"), ElementsAre(Range{-6, 10}));
  EXPECT_THAT(min_max(values, ops::QuantizationGrid::per_row(2, 5), "x"), ElementsAre(Range{-2, 5}, Range{-6, 10}));
  EXPECT_THAT(min_max(values, {2, 5, 3}, "x"), ElementsAre(Range{-2, 3}, Range{4, 5}, Range{-6, 8}, Range{9, 10}));
}

TEST(MinMax, NamesTheValueThatIsNotFinite) {
  for (const float bad : {nan, infinity, -infinity}) {
    const std::vector<float> values{1, 2, 3, 4, bad, 6};
    EXPECT_THAT(message_of([&] { min_max(values, {2, 3, 2}, "mlp.up.weight"); }), HasSubstr("mlp.up.weight[1, 1] is "));
  }
}

TEST(MovingAverage, TakesTheFirstAsItIsAndFollowsSlowly) {
  MovingAverage average{0.25f};
  average.fold(std::vector<Range>{{-4, 8}});
  average.fold(std::vector<Range>{{0, 0}});
  EXPECT_THAT(average.ranges(), ElementsAre(Range{-3, 6}));
  EXPECT_THROW(average.fold(std::vector<Range>{{0, 0}, {0, 0}}), Error);
}

TEST(ScaleOf, KeepsZeroExact) {
  for (const Range& range : {Range{-1, 3}, Range{2, 3}, Range{-3, -2}, Range{0, 0}, Range{-1e-30f, 1e30f}}) {
    const auto [scale, zero] = scale_of(range, Symmetry::affine, {0, 255}, "x");
    EXPECT_GT(scale, 0);
    EXPECT_GE(zero, 0);
    EXPECT_LE(zero, 255);
  }
  EXPECT_EQ(scale_of({-2, 1}, Symmetry::symmetric, {-127, 127}, "x"), (ScaleAndZero{2.0f / 127, 0}));
  EXPECT_EQ(scale_of({-2, 1}, Symmetry::symmetric, {-8, 7}, "x"), (ScaleAndZero{2.0f / 7.5f, 0}));
}

TEST(ScaleOf, OfTheWidestFloatsIsFinite) {
  constexpr float most = std::numeric_limits<float>::max();
  EXPECT_TRUE(std::isfinite(scale_of({-most, most}, Symmetry::affine, {0, 255}, "x").scale));
}

TEST(ScaleOf, RefusesARangeThatIsNone) {
  for (const Range& range : {Range{nan, 1}, Range{0, nan}, Range{0, infinity}, Range{-infinity, 0}, Range{2, 1}})
    EXPECT_THAT(message_of([&] {
                  scale_of(range, Symmetry::affine, {0, 255}, "the input of mlp.up");
                }),
                HasSubstr("the range of the input of mlp.up is "));
}

TEST(Histogram, OfPartsAddedInAnyOrderIsTheHistogramOfTheWhole) {
  const std::vector<float> values = normal(10000);
  const Range range = min_max(values, ops::QuantizationGrid::per_tensor(values.size()), "x").front();
  Histogram whole{range}, sum{range};
  whole.count(values, "x");
  for (const std::size_t part : {2u, 0u, 1u}) {
    Histogram one{range};
    for (std::size_t i = part; i < values.size(); i += 3) one.count(std::span{values}.subspan(i, 1), "x");
    sum.add(one.counts());
  }
  EXPECT_EQ(sum.counts(), whole.counts());
  EXPECT_EQ(whole.total(), values.size());
}

TEST(Histogram, CountsBothEndsAndWhatLiesBeyond) {
  Histogram histogram{{-1, 1}, 4};
  histogram.count(std::vector<float>{-1, 1, -5, 5, infinity, -infinity, -0.5f, 0, 0.49f}, "x");
  EXPECT_THAT(histogram.counts(), ElementsAre(3, 1, 2, 3));
  EXPECT_THROW(histogram.count(std::vector<float>{nan}, "x"), Error);
  Histogram flat{{2, 2}, 4};
  flat.count(std::vector<float>{2, 2}, "x");
  EXPECT_EQ(flat.total(), 2u);
  EXPECT_THROW((Histogram{{0, nan}}), Error);
}

TEST(PercentileRange, LeavesOutTheTails) {
  Histogram histogram{{0, 1000}, 1000};
  for (int i = 0; i < 1000; ++i) histogram.count(std::vector<float>{static_cast<float>(i)}, "x");
  EXPECT_EQ(percentile_range(histogram, 100), (Range{0, 1000}));
  EXPECT_EQ(percentile_range(histogram, 90), (Range{50, 950}));
  EXPECT_THROW(percentile_range(histogram, 0), Error);
  EXPECT_THROW(percentile_range(histogram, 101), Error);
}

TEST(Ranges, OfNothingCountedAreAnError) {
  const Histogram empty{{0, 1}};
  EXPECT_THAT(message_of([&] { percentile_range(empty, 99); }), HasSubstr("nothing was counted"));
  EXPECT_THAT(message_of([&] { least_squares_range(empty); }), HasSubstr("nothing was counted"));
  EXPECT_THAT(message_of([&] { kl_range(empty); }), HasSubstr("nothing was counted"));
}

TEST(Ranges, OfOneValueAreThatValue) {
  Histogram histogram{{3, 3}};
  histogram.count(std::vector<float>(100, 3.0f), "x");
  for (const Range& range : {percentile_range(histogram, 99), least_squares_range(histogram)}) {
    EXPECT_EQ(range.low, 3);
    EXPECT_EQ(range.high, 3);
  }
  EXPECT_GE(kl_range(histogram).high, 0);
}

// Squared error when the levels span this range, of the values themselves.
double error_of(const std::vector<float>& values, const Range& range) {
  const double scale = (double{range.high} - double{range.low}) / 255;
  double sum = 0;
  for (const float x : values) {
    const double level = std::clamp(std::nearbyint((double{x} - double{range.low}) / scale), 0.0, 255.0);
    const double error = double{x} - (range.low + level * scale);
    sum += error * error;
  }
  return sum;
}

TEST(LeastSquaresRange, CostsLessThanTheWholeRangeAndThanASmallerOne) {
  std::vector<float> values = normal(50000);
  for (std::size_t i = 0; i < 5; ++i) values[i] *= 3;
  const Range whole = min_max(values, ops::QuantizationGrid::per_tensor(values.size()), "x").front();
  Histogram histogram{whole};
  histogram.count(values, "x");
  const Range found = least_squares_range(histogram);
  EXPECT_LT(error_of(values, found), error_of(values, whole));
  EXPECT_LT(error_of(values, found), error_of(values, {found.low * 0.6f, found.high * 0.6f}));
}

TEST(KlRange, CutsALongTailAndKeepsAFlatRange) {
  std::vector<float> values = normal(50000);
  values[7] = 40;
  Histogram tailed{{-40, 40}};
  tailed.count(values, "x");
  const Range cut = kl_range(tailed);
  EXPECT_EQ(cut.low, -cut.high);
  EXPECT_LT(cut.high, 10);
  EXPECT_GT(cut.high, 2);

  std::vector<float> flat(50000);
  for (std::size_t i = 0; i < flat.size(); ++i) flat[i] = static_cast<float>(i) / 25000 - 1;
  Histogram even{{-1, 1}};
  even.count(flat, "x");
  EXPECT_GT(kl_range(even).high, 0.95f);
}

}  // namespace
}  // namespace tranche::compress
