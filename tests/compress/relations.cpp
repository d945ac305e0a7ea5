#include "compress/relations.h"

#include <algorithm>

#include "runtime/ops/elementwise.h"
#include "tests/runtime/autograd/differences.h"

namespace tranche::compress {
namespace {

using namespace testing;

constexpr std::size_t examples = 4, sequence = 3;

double huber(double a) { return std::abs(a) < 1 ? a * a / 2 : std::abs(a) - 0.5; }

// Lines between examples, by the paper's equations: nothing here knows of products of examples.
struct Relations {
  std::vector<Doubles> x;

  Relations(const Doubles& hidden, std::size_t width) : x(examples, Doubles(width)) {
    for (std::size_t i = 0; i < hidden.size(); ++i)
      x[i / (sequence * width)][i % width] += hidden[i] / double{sequence};
  }
  Doubles line(std::size_t from, std::size_t to) const {
    Doubles line = x[to];
    for (std::size_t c = 0; c < line.size(); ++c) line[c] -= x[from][c];
    return line;
  }
  static double product(const Doubles& a, const Doubles& b) {
    double sum = 0;
    for (std::size_t c = 0; c < a.size(); ++c) sum += a[c] * b[c];
    return sum;
  }
  double length(std::size_t i, std::size_t j) const { return std::sqrt(product(line(i, j), line(i, j))); }
  double mean_length() const {
    double sum = 0;
    for (std::size_t i = 0; i < examples; ++i)
      for (std::size_t j = 0; j < i; ++j) sum += length(i, j);
    return sum / (examples * (examples - 1) / 2.0);
  }
  double cosine(std::size_t i, std::size_t j, std::size_t k) const {
    return product(line(j, i), line(j, k)) / length(i, j) / length(k, j);
  }
};

double reference(const RelationTerms& terms, const Relations& s, const Relations& t) {
  double distances = 0, angles = 0;
  for (std::size_t i = 0; i < examples; ++i)
    for (std::size_t j = 0; j < examples; ++j) {
      if (i == j) continue;
      distances += huber(s.length(i, j) / s.mean_length() - t.length(i, j) / t.mean_length());
      for (std::size_t k = 0; k < examples; ++k)
        if (k != i && k != j) angles += huber(s.cosine(i, j, k) - t.cosine(i, j, k));
    }
  return terms.distance * distances / 12 + terms.angle * angles / 24;
}

class RelationalDistance : public ::testing::TestWithParam<RelationTerms> {};
INSTANTIATE_TEST_SUITE_P(Terms, RelationalDistance,
                         ::testing::Values(RelationTerms{1, 0}, RelationTerms{0, 1}, RelationTerms{0.5, 3}));

// The teacher is wider. One example of the student's lies far away, so that some differences are beyond 1.
TEST_P(RelationalDistance, IsItsDefinitionAndItsSlope) {
  Input s = input("student", {examples, sequence, 5});
  for (std::size_t i = 0; i < sequence * 5; ++i) s.values[i] += 8;
  const Input t = input("teacher", {examples, sequence, 7});
  expect_agreement(
      {s},
      [&](const std::vector<Tensor>& x) {
        return relational_distance(GetParam(), x[0], tensor(x[0].device(), t.name, t.shape, t.values));
      },
      [&](const std::vector<Doubles>& x) {
        return Doubles{reference(GetParam(), Relations{x[0], 5}, Relations{t.values, 7})};
      });
}

class Relation : public ::testing::Test {
 protected:
  CpuDevice device{1};
  const Input s = input("student", {examples, sequence, 5});

  float distance(const Tensor& student, const Tensor& teacher) {
    return relational_distance({1, 1}, student, teacher).scalar<float>();
  }
  Tensor with(const std::function<double(double)>& change) {
    Doubles values = s.values;
    for (double& each : values) each = change(each);
    return tensor(device, "changed", s.shape, values);
  }
};

TEST_F(Relation, IsBlindToWhereAllLieAndToHowFarApart) {
  const Tensor student = with([](double x) { return x; });
  EXPECT_EQ(distance(student, student), 0);
  EXPECT_NEAR(distance(student, with([](double x) { return 4 * x - 3; })), 0, 1e-9);
  EXPECT_GT(distance(student, with([](double x) { return x * x; })), 1e-3);
}

// Then no line has a direction, and nothing is divided by zero.
TEST_F(Relation, OfExamplesThatAreEqualHasNoSlope) {
  Tape tape;
  const Tensor student = wanted(tensor(device, "equal", s.shape, Doubles(s.values.size(), 0.25)));
  const Tensor loss = [&] {
    const Recording on{&tape};
    return relational_distance({1, 1}, student, with([](double x) { return x; }));
  }();
  EXPECT_GT(loss.scalar<float>(), 0);
  tape.backward(loss, tensor(device, "seed", {1}, {1}));
  const Tensor gradient = student.variable()->take();
  for (const float each : gradient.span<float>()) EXPECT_EQ(each, 0);
}

TEST_F(Relation, RoundsTheGradientOnceToTheStudentsDType) {
  for (const DType dtype : {DType::bfloat16, DType::float16}) {
    const auto gradient_to = [&](const Tensor& x) {
      Tape tape;
      const Tensor student = wanted(x);
      const Tensor loss = [&] {
        const Recording on{&tape};
        return relational_distance({1, 2}, student, with([](double each) { return each * each; }));
      }();
      tape.backward(loss, tensor(device, "loss scale", {1}, {4096}));
      return student.variable()->take();
    };
    const Tensor student = Tensor::empty(device, "student", Category::activations, s.shape, dtype);
    ops::convert(with([](double x) { return x; }), student);
    const Tensor wide = student.sibling("student", s.shape, DType::float32);
    ops::store(student, {wide, false});
    const Tensor exact = gradient_to(wide), expected = exact.sibling("rounded", s.shape, dtype),
                 found = gradient_to(student);
    ops::convert(exact, expected);
    EXPECT_EQ(found.dtype(), dtype);
    EXPECT_TRUE(std::ranges::equal(found.byte_span(), expected.byte_span())) << name_of(dtype);
  }
}

TEST_F(Relation, RefusesOtherShapesAndFewExamples) {
  const Tensor student = with([](double x) { return x; });
  EXPECT_THROW(distance(student, student.reshaped({examples, 5, sequence})), Error);
  EXPECT_THROW(distance(student.view(0, {2, sequence, 5}), student.view(0, {2, sequence, 5})), Error);
}

}  // namespace
}  // namespace tranche::compress
