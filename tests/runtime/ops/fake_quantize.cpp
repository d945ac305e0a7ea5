#include "runtime/ops/fake_quantize.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

using testing::Test;
using Floats = std::vector<float>;

float clamped(float x, float low, float high) { return std::min(std::max(x, low), high); }
double mean_magnitude(const Floats& x) {
  double sum = 0;
  for (const float each : x) sum += double{std::fabs(each)};
  return sum / static_cast<double>(x.size());
}

// Line by line what deepspeed/compression/utils.py computes of one group (widened: quantize_rows).
Floats reference(const Floats& x, FakeForm form, unsigned bits) {
  const float steps = std::exp2(static_cast<float>(bits));
  const float low = *std::min_element(x.begin(), x.end()), high = *std::max_element(x.begin(), x.end());
  if (form == FakeForm::affine && low == high) return x;  // theirs divides by 0
  Floats y;
  if (form == FakeForm::symmetric) {
    const float scale = 2 * std::max(-low, high) / steps;
    for (const float each : x) y.push_back(clamped(std::nearbyint(each / scale), -steps / 2, steps / 2 - 1) * scale);
  } else if (form == FakeForm::affine) {
    const float scale = (high - low) / steps, zero = std::nearbyint(low / scale) * scale;
    for (const float each : x) y.push_back(clamped(std::nearbyint((each - zero) / scale), 0, steps - 1) * scale + zero);
  } else if (form == FakeForm::widened) {
    const float scale = (std::max(high, 0.0f) - std::min(low, 0.0f)) / (steps - 1);
    const float zero = clamped(std::nearbyint(-std::min(low, 0.0f) / scale), 0, steps - 1);
    for (const float each : x) y.push_back((clamped(std::nearbyint(each / scale) + zero, 0, steps - 1) - zero) * scale);
  } else if (form == FakeForm::binary) {
    const auto scale = static_cast<float>(mean_magnitude(x));
    for (const float each : x) y.push_back(each > 0 ? scale : each < 0 ? -scale : 0);
  } else {
    const auto threshold = static_cast<float>(0.7 * mean_magnitude(x));
    Floats beyond;
    for (const float each : x)
      if (std::fabs(each) > threshold) beyond.push_back(each);
    const auto scale = static_cast<float>(mean_magnitude(beyond));
    for (const float each : x) y.push_back(each > threshold ? scale : each < -threshold ? -scale : 0);
  }
  return y;
}

struct Case {
  std::size_t rows, cols, group;
};
class FakeQuantizeGrid : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Shapes, FakeQuantizeGrid,
                         testing::Values(Case{1, 5, 5}, Case{1, 30001, 30001}, Case{37, 129, 129}, Case{37, 129, 32},
                                         Case{5, 1023, 64}));

TEST_P(FakeQuantizeGrid, IsDeepSpeedsOnEveryGroup) {
  const auto [rows, cols, group] = GetParam();
  TestDevice device{2};
  const QuantizationGrid grid{rows, cols, group};
  for (const DType dtype : floating_dtypes)
    for (const auto& [form, bits] : {std::pair{FakeForm::symmetric, 8u},
                                     {FakeForm::symmetric, 3u},
                                     {FakeForm::affine, 4u},
                                     {FakeForm::widened, 8u},
                                     {FakeForm::widened, 5u},
                                     {FakeForm::ternary, 2u},
                                     {FakeForm::binary, 1u}}) {
      const Tensor x = random_tensor(device, {rows, cols}, dtype, 3), y = blank(device, {rows, cols}, dtype);
      const Tensor scales = blank(device, {grid.parameters()}, DType::float32);
      fake_quantize(x, grid, form, bits, y, scales);
      for (std::size_t row = 0; row < rows; ++row)
        for (std::size_t first = 0; first < cols; first += group) {
          Floats values;
          for (std::size_t i = first; i < std::min(first + group, cols); ++i)
            values.push_back(static_cast<float>(read(x, row * cols + i)));
          const Floats expected = reference(values, form, bits);
          for (std::size_t i = 0; i < values.size(); ++i) {
            const double got = read(y, row * cols + first + i), want = double{rounded(double{expected[i]}, dtype)};
            // A mean is summed in another order: its last bit may differ.
            if (form == FakeForm::ternary || form == FakeForm::binary)
              ASSERT_NEAR(got, want, 2 * rounding_of(dtype) * std::fabs(want)) << row << ", " << first + i;
            else
              ASSERT_EQ(got, want) << row << ", " << first + i << " of form " << static_cast<int>(form);
          }
        }
    }
}

// What training computes with is what a packed model's bytes are.
TEST(FakeQuantize, WidenedIsWhatQuantizedRowsGiveBack) {
  TestDevice device;
  const Tensor x = random_tensor(device, {19, 77}, DType::float32, 4), y = blank(device, {19, 77}, DType::float32);
  fake_quantize(x, QuantizationGrid::per_row(19, 77), FakeForm::widened, 8, y);
  const Tensor q = blank(device, {19, 77}, DType::uint8), scales = blank(device, {19}, DType::float32);
  const Tensor zeros = blank(device, {19}, DType::int32), back = blank(device, {19, 77}, DType::float32);
  quantize_rows(x, q, scales, zeros);
  dequantize(q, scales, zeros, QuantizationGrid::per_row(19, 77), back);
  EXPECT_EQ(read(y), read(back));
  quantize_rows_with(0.031f, 113, x, q, scales, zeros);
  dequantize(q, scales, zeros, QuantizationGrid::per_row(19, 77), back);
  fake_quantize_with(0.031f, 113, {0, 255}, x, y);
  EXPECT_EQ(read(y), read(back));
}

TEST(FakeQuantize, ZerosStayAndWhatIsNotFiniteShows) {
  TestDevice device;
  for (const FakeForm form :
       {FakeForm::symmetric, FakeForm::affine, FakeForm::widened, FakeForm::ternary, FakeForm::binary}) {
    const Tensor x = tensor_of(device, {3, 3}, DType::float32, {0, 0, 0, 1, 2, 3, 4, 5, 6});
    const Tensor y = blank(device, {3, 3}, DType::float32);
    write(x, 4, nan), write(x, 8, infinity);
    fake_quantize(x, QuantizationGrid::per_row(3, 3), form, 4, y);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(read(y, i), 0);
    for (std::size_t i = 3; i < 9; ++i) EXPECT_TRUE(std::isnan(read(y, i))) << i;
  }
  const Tensor x = tensor_of(device, {3}, DType::float32, {-1000, 0.26, 1000}), y = blank(device, {3}, DType::float32);
  fake_quantize_with(0.5f, 0, {-8, 7}, x, y);
  EXPECT_EQ(read(y), (Values{-4, 0.5, 3.5}));
  write(x, 1, nan);
  fake_quantize_with(0.5f, 0, {-8, 7}, x, y);
  EXPECT_TRUE(std::isnan(read(y, 1)));
}

// Learned step sizes: value and both gradients, element by element.
struct ByStep {
  Values y, dx, dsteps;
};
ByStep naive_by_step(const Values& x, const Values& dy, const Values& steps, std::size_t cols, std::size_t group,
                     unsigned bits) {
  const float half = std::exp2(static_cast<float>(bits) - 1);
  ByStep result{.y = {}, .dx = {}, .dsteps = Values(steps.size())};
  const std::size_t in_row = (cols + group - 1) / group;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t col = i % cols, number = i / cols * in_row + col / group;
    const double shared = static_cast<double>(std::min(group, cols - col / group * group));
    const auto given = static_cast<float>(steps[number]), step = std::max(std::fabs(given), 0x1p-23f);
    if (bits == 1) {
      const double sign = x[i] < 0 ? -1 : 1;
      result.y.push_back(sign * double{step});
      result.dx.push_back(std::fabs(x[i]) <= 1 ? double{step * static_cast<float>(dy[i])} : 0);
      result.dsteps[number] += (given < 0 ? -1 : 1) * sign * dy[i] / std::sqrt(shared);
      continue;
    }
    const float quotient = static_cast<float>(x[i]) / step, nearest = std::nearbyint(quotient);
    const float level = clamped(nearest, -half, half - 1);
    result.y.push_back(double{level * step});
    result.dx.push_back(level == nearest ? dy[i] : 0);
    const double slope = level == nearest ? double{level} - double{quotient} : double{level};
    result.dsteps[number] += (given < 0 ? -1 : 1) * slope * dy[i] / std::sqrt(shared * (half - 1));
  }
  return result;
}

TEST_P(FakeQuantizeGrid, ByLearnedStepsIsTheReferenceWithBothGradients) {
  const auto [rows, cols, group] = GetParam();
  TestDevice device{2};
  const QuantizationGrid grid{rows, cols, group};
  for (const DType dtype : floating_dtypes)
    for (const unsigned bits : {1u, 2u, 4u, 8u}) {
      const Tensor x = random_tensor(device, {rows, cols}, dtype, 5),
                   dy = random_tensor(device, {rows, cols}, dtype, 6);
      write(x, x.size() / 2, 0), write(x, x.size() - 1, 1);
      Values first = numbers(grid.parameters(), 7, 0.3);  // of either sign
      first[0] = 0;                                       // counts as the least step
      const Tensor steps = tensor_of(device, {grid.parameters()}, dtype, first);
      const ByStep expected = naive_by_step(read(x), read(dy), read(steps), cols, group, bits);
      const Tensor y = blank(device, {rows, cols}, dtype);
      fake_quantize_by(x, steps, grid, bits, y);
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(read(y, i), rounded(expected.y[i], dtype)) << i;
      for (const bool adds : {false, true}) {
        const Tensor dx =
            adds ? tensor_of(device, {rows, cols}, dtype, Values(x.size(), 2)) : blank(device, {rows, cols}, dtype);
        const Tensor dsteps = adds ? tensor_of(device, {steps.size()}, dtype, Values(steps.size(), 2))
                                   : blank(device, {steps.size()}, dtype);
        fake_quantize_by_input_gradient(dy, x, steps, grid, bits, {dx, adds});
        fake_quantize_by_step_gradient(dy, x, steps, grid, bits, {dsteps, adds});
        const double before = adds ? 2 : 0;
        for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(read(dx, i), rounded(before + expected.dx[i], dtype)) << i;
        for (std::size_t i = 0; i < steps.size(); ++i) {
          const double want = before + expected.dsteps[i];
          ASSERT_NEAR(read(dsteps, i), want, rounding_of(dtype) * std::fabs(want) + 2e-4 * std::sqrt(double(group)))
              << "step " << i << " of " << bits << " bits";
        }
      }
    }
}

TEST(FakeQuantize, ByALearnedStepShowsWhatIsNotFinite) {
  TestDevice device;
  const Tensor x = tensor_of(device, {3, 2}, DType::float32, {1, 2, 3, 4, 5, 6}),
               y = blank(device, {3, 2}, DType::float32);
  const Tensor steps = tensor_of(device, {3}, DType::float32, {1, 1, 1});
  write(x, 1, nan), write(steps, 1, infinity), write(steps, 2, nan);
  fake_quantize_by(x, steps, QuantizationGrid::per_row(3, 2), 4, y);
  EXPECT_EQ(read(y, 0), 1);
  for (std::size_t i = 1; i < 6; ++i) EXPECT_TRUE(std::isnan(read(y, i))) << i;
  fake_quantize_by(x, steps, QuantizationGrid::per_row(3, 2), 1, y);
  EXPECT_EQ(read(y, 0), 1);
  for (std::size_t i = 1; i < 6; ++i) EXPECT_TRUE(std::isnan(read(y, i))) << i;
}

TEST(RangeOf, HasBothEndsOrNone) {
  TestDevice device;
  for (const std::size_t size : odd_sizes) {
    const Tensor x = random_tensor(device, {size}, DType::bfloat16, size), range = blank(device, {2}, DType::float32);
    range_of(x, range);
    const Values all = read(x);
    EXPECT_EQ(read(range),
              (Values{*std::min_element(all.begin(), all.end()), *std::max_element(all.begin(), all.end())}));
    write(x, size / 2, nan);
    range_of(x, range);
    EXPECT_TRUE(std::isnan(read(range, 0)) && std::isnan(read(range, 1)));
  }
}

}  // namespace
}  // namespace tranche::ops
