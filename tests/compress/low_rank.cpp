#include "compress/low_rank.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/base/error.h"
#include "runtime/base/random.h"
#include "tests/compress/linear_inputs.h"

namespace tranche::compress {
namespace {

float entry(std::uint64_t stream, std::size_t i) { return uniform(RandomKey{stream, Purpose::order}.number(i)) - 0.5f; }

// A sum of `rank` outer products, the later ones smaller.
Floats weight_of(std::size_t out, std::size_t in, std::size_t rank) {
  Floats weight(out * in);
  for (std::size_t k = 0; k < rank; ++k)
    for (std::size_t row = 0; row < out; ++row)
      for (std::size_t col = 0; col < in; ++col)
        weight[row * in + col] += std::pow(0.7f, static_cast<float>(k)) * entry(2 * k, row) * entry(2 * k + 1, col);
  return weight;
}

double squared_error(const SingularValues& svd, const Floats& weight, std::size_t rank) {
  const Floats left = svd.left_of(rank), right = svd.right_of(rank);
  const std::size_t out = svd.shape.rows(), in = svd.shape.cols();
  double sum = 0;
  for (std::size_t row = 0; row < out; ++row)
    for (std::size_t col = 0; col < in; ++col) {
      double product = 0;
      for (std::size_t k = 0; k < rank; ++k) product += double{left[row * rank + k]} * double{right[k * in + col]};
      sum += std::pow(product - double{weight[row * in + col]}, 2);
    }
  return sum;
}
double squares(const Floats& weight) {
  double sum = 0;
  for (const float each : weight) sum += double{each} * double{each};
  return sum;
}

class Shapes : public ::testing::TestWithParam<std::pair<std::size_t, std::size_t>> {};
INSTANTIATE_TEST_SUITE_P(Sides, Shapes,
                         ::testing::Values(std::pair{30, 12}, std::pair{12, 30}, std::pair{17, 17}, std::pair{1, 9},
                                           std::pair{9, 1}));

// Eckart and Young: what the values beyond the rank say is the squared error, which falls to rounding at full rank.
TEST_P(Shapes, TheErrorIsWhatTheValuesSay) {
  const auto [out, in] = GetParam();
  const Floats weight = weight_of(out, in, 20);
  const SingularValues svd = singular_values("w", {out, in}, weight);
  ASSERT_EQ(svd.values.size(), std::min(out, in));
  EXPECT_TRUE(std::ranges::is_sorted(svd.values, std::greater{}));
  for (std::size_t rank = 1; rank <= svd.values.size(); ++rank) {
    double tail = 0;
    for (std::size_t i = rank; i < svd.values.size(); ++i) tail += svd.values[i] * svd.values[i];
    EXPECT_NEAR(squared_error(svd, weight, rank), tail, 1e-9 + 1e-5 * squares(weight)) << rank;
    EXPECT_NEAR(svd.energy_of(rank), 1 - tail / squares(weight), 1e-6);
  }
  EXPECT_LT(squared_error(svd, weight, svd.values.size()), 1e-12 * squares(weight) * 100);
}

// What a linear loses of its outputs for these tokens if only so many values are left.
double output_error(const SingularValues& svd, const Floats& weight, std::size_t rank, const Doubles& x) {
  const Floats left = svd.left_of(rank), right = svd.right_of(rank);
  const std::size_t in = svd.shape.cols();
  double sum = 0;
  for (std::size_t row = 0; row < svd.shape.rows(); ++row) {
    Doubles lost(in);
    for (std::size_t col = 0; col < in; ++col) {
      lost[col] = -double{weight[row * in + col]};
      for (std::size_t k = 0; k < rank; ++k) lost[col] += double{left[row * rank + k]} * double{right[k * in + col]};
    }
    for (std::size_t token = 0; token < x.size(); token += in)
      sum += std::pow(std::inner_product(lost.begin(), lost.end(), x.begin() + static_cast<std::ptrdiff_t>(token), 0.0),
                      2);
  }
  return sum;
}

// What is added to the diagonal is counted too, so the values say a little more than the tokens lose.
TEST_P(Shapes, OfOutputsTheErrorIsWhatTheValuesSayAndLessThanThatOfWeights) {
  const auto [out, in] = GetParam();
  const Floats weight = weight_of(out, in, 20);
  const Doubles tokens = inputs_of(3 * in, in);
  const SingularValues plain = singular_values("w", {out, in}, weight),
                       svd = singular_values_of_outputs("w", {out, in}, weight, products_of(tokens, in));
  const std::size_t full = svd.values.size();
  EXPECT_LT(squared_error(svd, weight, full), 1e-9 * squares(weight));  // it is the weight still
  const double all = std::inner_product(svd.values.begin(), svd.values.end(), svd.values.begin(), 0.0);
  for (std::size_t rank = 1; rank < full; ++rank) {
    double tail = 0;
    for (std::size_t i = rank; i < full; ++i) tail += svd.values[i] * svd.values[i];
    const double error = output_error(svd, weight, rank, tokens);
    EXPECT_LT(error, tail + 1e-6 * all) << rank;
    EXPECT_LT(error, output_error(plain, weight, rank, tokens) + 1e-6 * all + 0.01 * tail) << rank;
  }
  if (full < 10) return;
  EXPECT_LT(output_error(svd, weight, 3, tokens), 0.7 * output_error(plain, weight, 3, tokens));
}

TEST(SingularValues, OfOutputsThatAreAlwaysZeroSaySo) {
  try {
    singular_values_of_outputs("blocks.0.mlp.up.weight", {6, 5}, Floats(30, 1.0f), std::vector<double>(25));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::numerics);
    EXPECT_NE(std::string{error.what()}.find("blocks.0.mlp.up.weight"), std::string::npos);
  }
}

TEST(SingularValues, AProductOfFewIsFound) {
  const Floats weight = weight_of(40, 30, 4);
  const SingularValues svd = singular_values("w", {40, 30}, weight);
  EXPECT_LT(squared_error(svd, weight, 4), 1e-10 * squares(weight));
  EXPECT_GT(squared_error(svd, weight, 3), 1e-6 * squares(weight));
  EXPECT_EQ(svd.rank_for(1 - 1e-9), 4u);
}

TEST(SingularValues, TheRankForAnEnergyIsTheLeast) {
  const SingularValues svd = singular_values("w", {25, 40}, weight_of(25, 40, 25));
  for (const double energy : {0.0, 0.3, 0.9, 0.99, 0.9999}) {
    const std::size_t rank = svd.rank_for(energy);
    EXPECT_GE(svd.energy_of(rank), energy - 1e-12);
    EXPECT_TRUE(rank == 1 || svd.energy_of(rank - 1) < energy) << energy;
  }
  EXPECT_EQ(svd.rank_for(1), 25u);
}

TEST(SingularValues, ZerosAndWhatIsNotFinite) {
  const SingularValues zeros = singular_values("w", {6, 5}, Floats(30));
  EXPECT_EQ(zeros.rank_for(0.9), 1u);
  EXPECT_EQ(zeros.energy_of(1), 1);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Floats weight(30);
    weight[7] = bad;
    try {
      singular_values("blocks.0.mlp.up.weight", {6, 5}, weight);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::numerics);
      EXPECT_NE(std::string{error.what()}.find("blocks.0.mlp.up.weight"), std::string::npos);
    }
  }
}

class Ranks : public ::testing::Test {
 protected:
  Decompositions linears{{"a", singular_values("a", {40, 40}, weight_of(40, 40, 40))},
                         {"b", singular_values("b", {20, 60}, weight_of(20, 60, 3))}};
  static constexpr std::size_t parameters = 40 * 40 + 20 * 60 + 200;

  std::size_t size_with(const LinearRanks& ranks) const {
    std::size_t size = parameters;
    for (const auto& [name, rank] : ranks) size = size - linears.at(name).shape.size() + rank * (name == "a" ? 80 : 80);
    return size;
  }
};

TEST_F(Ranks, ThoseThatMakeNothingSmallerStayWhole) {
  EXPECT_EQ(choose_ranks(linears, {.rank = 15}, parameters), (LinearRanks{{"a", 15}}));  // b: 15 * 80 = 20 * 60
  EXPECT_EQ(choose_ranks(linears, {.rank = 14}, parameters), (LinearRanks{{"a", 14}, {"b", 14}}));
  EXPECT_THROW(choose_ranks(linears, {.rank = 20}, parameters), Error);
  EXPECT_EQ(choose_ranks(linears, {.energy = 1 - 1e-9}, parameters).at("b"), 3u);
}

TEST_F(Ranks, ASizeIsKeptAndUsed) {
  for (const double size : {0.95, 0.7, 0.5, 0.3, 0.15}) {
    const LinearRanks ranks = choose_ranks(linears, {.size = size}, parameters);
    const auto part = [&](const LinearRanks& with) {
      return static_cast<double>(size_with(with)) / static_cast<double>(parameters);
    };
    EXPECT_LE(part(ranks), size);
    EXPECT_GT(part(ranks), size - 0.12) << "there is room for more";
  }
  EXPECT_THROW(choose_ranks(linears, {.size = 0.01}, parameters), Error);
}

}  // namespace
}  // namespace tranche::compress
