// Rounding by the inputs, against the algorithm written down as its derivation has it.
#include "compress/second_order.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/compress/linear_inputs.h"

namespace tranche::compress {
namespace {

// By Gauss and Jordan.  a: (n, n), symmetric
Doubles inverse_of(Doubles a, std::size_t n) {
  Doubles inverse(n * n);
  for (std::size_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
  for (std::size_t pivot = 0; pivot < n; ++pivot) {
    const double scale = 1 / a[pivot * n + pivot];
    for (std::size_t col = 0; col < n; ++col) a[pivot * n + col] *= scale, inverse[pivot * n + col] *= scale;
    for (std::size_t row = 0; row < n; ++row) {
      const double factor = a[row * n + pivot];
      if (row == pivot || factor == 0) continue;
      for (std::size_t col = 0; col < n; ++col) {
        a[row * n + col] -= factor * a[pivot * n + col];
        inverse[row * n + col] -= factor * inverse[pivot * n + col];
      }
    }
  }
  return inverse;
}

// Optimal brain surgery, one column after another: each time the Hessian of the columns that are left is inverted anew.
std::vector<std::int32_t> surgery(const Floats& weights, std::size_t in, const Plan& plan, const Doubles& products) {
  const double mean = [&] {
    double sum = 0;
    for (std::size_t i = 0; i < in; ++i) sum += products[i * in + i];
    return sum / static_cast<double>(in);
  }();
  const auto [low, high] = levels_of(plan.form);
  std::vector<std::int32_t> levels;
  for (std::size_t row = 0; row < weights.size() / in; ++row) {
    Doubles w(weights.begin() + static_cast<std::ptrdiff_t>(row * in),
              weights.begin() + static_cast<std::ptrdiff_t>((row + 1) * in));
    double scale = 0;
    for (std::size_t col = 0; col < in; ++col) {
      if (col % plan.group == 0) {
        const std::size_t end = std::min(col + plan.group, in);
        const Floats group(w.begin() + static_cast<std::ptrdiff_t>(col), w.begin() + static_cast<std::ptrdiff_t>(end));
        scale = double{scale_of_group(plan.form, group)};
      }
      const std::size_t left = in - col;
      Doubles h(left * left);
      for (std::size_t a = 0; a < left; ++a)
        for (std::size_t b = 0; b < left; ++b)
          h[a * left + b] = products[(col + std::max(a, b)) * in + col + std::min(a, b)] + (a == b ? 0.01 * mean : 0);
      const Doubles inverse = inverse_of(h, left);
      levels.push_back(static_cast<std::int32_t>(std::clamp(std::nearbyint(w[col] / scale), 1.0 * low, 1.0 * high)));
      const double error = (w[col] - levels.back() * scale) / inverse[0];
      for (std::size_t b = 1; b < left; ++b) w[col + b] -= error * inverse[b];
    }
  }
  return levels;
}

TEST(RoundingByProducts, IsOptimalBrainSurgeryColumnByColumn) {
  const std::size_t out = 7, in = 40;
  const Floats weights = weights_of(out * in);
  const Doubles products = products_of(inputs_of(100, in), in);
  for (const Plan& plan : {Plan{TensorForm::int4, 16}, Plan{TensorForm::int2, 32}, Plan{TensorForm::int4, 128}}) {
    const PackedTensor tensor = round_by_products("w", {out, in}, weights, plan, products);
    const std::vector<std::int32_t> expected = surgery(weights, in, plan, products);
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_EQ(tensor.level(i / in, i % in), expected[i]) << i << " of groups of " << plan.group;
  }
}

TEST(RoundingByProducts, LosesLessOfTheOutputsThanRoundingToNearest) {
  const std::size_t out = 32, in = 96;
  const Floats weights = weights_of(out * in);
  const Doubles x = inputs_of(400, in), products = products_of(x, in);
  for (const TensorForm form : {TensorForm::int4, TensorForm::int2}) {
    const double nearest = loss_of(quantize_weight("w", {out, in}, weights, {form, 32}), weights, x);
    EXPECT_LT(loss_of(round_by_products("w", {out, in}, weights, {form, 32}, products), weights, x), nearest / 2)
        << name_of(form);
  }
}

TEST(RoundingByProducts, OfInputsThatHaveNothingToDoWithOneAnotherIsToNearest) {
  const std::size_t out = 5, in = 48;
  const Floats weights = weights_of(out * in);
  Doubles products(in * in);
  for (std::size_t i = 0; i < in; ++i) products[i * in + i] = 3;
  const PackedTensor nearest = quantize_weight("w", {out, in}, weights, {TensorForm::int4, 16});
  const PackedTensor tensor = round_by_products("w", {out, in}, weights, {TensorForm::int4, 16}, products);
  EXPECT_EQ(tensor.scales, nearest.scales);
  EXPECT_EQ(tensor.values, nearest.values);
}

TEST(RoundingByProducts, AnInputThatWasAlwaysZeroHasNoWeight) {
  const std::size_t out = 3, in = 32;
  const Floats weights = weights_of(out * in);
  Doubles x = inputs_of(50, in);
  for (std::size_t at = 9; at < x.size(); at += in) x[at] = 0;
  const PackedTensor tensor = round_by_products("w", {out, in}, weights, {TensorForm::int4, 32}, products_of(x, in));
  for (std::size_t row = 0; row < out; ++row) EXPECT_EQ(tensor.level(row, 9), 0);
  // Nothing at all was seen: then every weight is zero.
  EXPECT_EQ(loss_of(round_by_products("w", {out, in}, weights, {TensorForm::int4, 32}, Doubles(in * in)),
                    Floats(out * in), inputs_of(5, in)),
            0);
}

TEST(RoundingByProducts, WhatIsNotFiniteIsAnError) {
  Floats weights = weights_of(64);
  weights[5] = std::numeric_limits<float>::infinity();
  Doubles products(32 * 32, 1);
  EXPECT_THROW(round_by_products("w", {2, 32}, weights, {TensorForm::int4, 32}, products), Error);
  weights[5] = 0;
  products[33] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(round_by_products("w", {2, 32}, weights, {TensorForm::int4, 32}, products), Error);
}

}  // namespace
}  // namespace tranche::compress
