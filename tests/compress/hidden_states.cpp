#include "compress/hidden_states.h"

#include <algorithm>

#include "runtime/ops/elementwise.h"
#include "tests/runtime/autograd/differences.h"

namespace tranche::compress {
namespace {

using namespace testing;

constexpr std::size_t width = 7;

// By the definitions, in double. rows of `width`
double reference(HiddenDistance distance, const Doubles& s, const Doubles& t) {
  double sum = 0;
  for (std::size_t row = 0; row < s.size(); row += width) {
    double squares = 0, product = 0, of_s = 0, of_t = 0;
    for (std::size_t i = row; i < row + width; ++i) {
      squares += (s[i] - t[i]) * (s[i] - t[i]);
      product += s[i] * t[i], of_s += s[i] * s[i], of_t += t[i] * t[i];
    }
    sum += distance == HiddenDistance::mse ? squares / double{width} : 1 - product / std::sqrt(of_s * of_t);
  }
  return sum * double{width} / static_cast<double>(s.size());
}

class HiddenDistances : public ::testing::TestWithParam<HiddenDistance> {
 protected:
  CpuDevice device{2};
  // More than one block of 1,024 elements, and no multiple.
  const Shape shape{2, 150, width};
  const Input s = input("student", shape), t = input("teacher", shape);

  Tensor in(DType dtype, const Input& values) {
    const Tensor wide = tensor(device, values.name, values.shape, values.values);
    if (dtype == DType::float32) return wide;
    const Tensor narrow = wide.sibling(values.name, wide.shape(), dtype);
    ops::convert(wide, narrow);
    return narrow;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, HiddenDistances, ::testing::Values(HiddenDistance::mse, HiddenDistance::cosine));

TEST_P(HiddenDistances, AreTheirDefinitionAndItsSlope) {
  const Input few{"student", {2, 3, width}, Doubles(s.values.begin(), s.values.begin() + 6 * width)};
  const Doubles teacher(t.values.begin(), t.values.begin() + 6 * width);
  expect_agreement(
      {few},
      [&](const std::vector<Tensor>& x) {
        return hidden_distance(GetParam(), x[0], tensor(x[0].device(), "teacher", few.shape, teacher), 0.3);
      },
      [&](const std::vector<Doubles>& x) { return Doubles{0.3 * reference(GetParam(), x[0], teacher)}; });
}

TEST_P(HiddenDistances, CountEveryBlockOfManyTokens) {
  const Tensor loss = hidden_distance(GetParam(), in(DType::float32, s), in(DType::float32, t), 2);
  EXPECT_NEAR(loss.scalar<float>(), 2 * reference(GetParam(), s.values, t.values), 1e-6);
}

TEST_P(HiddenDistances, RoundTheGradientOnceToTheStudentsDType) {
  for (const DType dtype : {DType::bfloat16, DType::float16}) {
    const auto gradient_to = [&](const Tensor& x) {
      Tape tape;
      const Tensor student = wanted(x);
      const Tensor loss = [&] {
        const Recording on{&tape};
        return hidden_distance(GetParam(), student, in(DType::bfloat16, t), 1);
      }();
      tape.backward(loss, tensor(device, "loss scale", {1}, {4096}));
      const Tensor gradient = student.variable()->take();
      EXPECT_EQ(gradient.dtype(), x.dtype());
      EXPECT_EQ(gradient.shape(), shape);
      return gradient;
    };
    const Tensor student = in(dtype, s), wide = student.sibling("student", shape, DType::float32);
    ops::store(student, {wide, false});
    const Tensor exact = gradient_to(wide), expected = exact.sibling("rounded", shape, dtype),
                 found = gradient_to(student);
    ops::convert(exact, expected);
    EXPECT_TRUE(std::ranges::equal(found.byte_span(), expected.byte_span())) << name_of(dtype);
  }
}

TEST_P(HiddenDistances, OfStatesThatAreEqualAreZero) {
  EXPECT_EQ(hidden_distance(GetParam(), in(DType::float32, s), in(DType::float32, s), 1).scalar<float>(), 0);
}

TEST(HiddenDistance, OfTheCosineIsBlindToLengthAndTwoForOpposites) {
  CpuDevice device{1};
  const Input x = input("x", {4, width});
  const auto times = [&](double factor) {
    Doubles values = x.values;
    for (double& each : values) each *= factor;
    return tensor(device, "y", x.shape, values);
  };
  const auto distance = [&](double factor) {
    return hidden_distance(HiddenDistance::cosine, times(1), times(factor), 1).scalar<float>();
  };
  EXPECT_NEAR(distance(5), 0, 1e-6);
  EXPECT_NEAR(distance(-0.1), 2, 1e-6);
}

TEST(HiddenDistance, RefusesOtherShapes) {
  CpuDevice device{1};
  const Input a = input("a", {4, width}), b = input("b", {4, width + 1});
  EXPECT_THROW(hidden_distance(HiddenDistance::mse, tensor(device, "a", a.shape, a.values),
                               tensor(device, "b", b.shape, b.values), 1),
               Error);
}

}  // namespace
}  // namespace tranche::compress
