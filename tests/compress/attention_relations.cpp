#include "compress/attention_relations.h"

#include "runtime/ops/elementwise.h"
#include "tests/runtime/autograd/differences.h"

namespace tranche::compress {
namespace {

using namespace testing;

// A projection as the reference sees it.
struct Reference {
  std::size_t batch, sequence, shared, keys;  // keys: columns
  std::size_t cols() const { return (shared + 2) * keys; }
  Shape shape() const { return {batch, sequence, cols()}; }

  // softmax over j of x_i . x_j / sqrt(d) in one head
  Doubles relations(const Doubles& qkv, Projected part, std::size_t heads, std::size_t head, std::size_t sample) const {
    const std::size_t width = part == Projected::queries ? shared * keys : keys, d = width / heads;
    const std::size_t first = part == Projected::queries ? 0
                              : part == Projected::keys  ? shared * keys
                                                         : (shared + 1) * keys;
    Doubles all(sequence * sequence);
    for (std::size_t i = 0; i < sequence; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < sequence; ++j) {
        double product = 0;
        for (std::size_t c = 0; c < d; ++c)
          product += qkv[(sample * sequence + i) * cols() + first + head * d + c] *
                     qkv[(sample * sequence + j) * cols() + first + head * d + c];
        sum += all[i * sequence + j] = std::exp(product / std::sqrt(static_cast<double>(d)));
      }
      for (std::size_t j = 0; j < sequence; ++j) all[i * sequence + j] /= sum;
    }
    return all;
  }
};

double divergence(const std::vector<Projected>& of, std::size_t heads, const Reference& student, const Doubles& s,
                  const Reference& teacher, const Doubles& t) {
  double sum = 0;
  for (const Projected part : of)
    for (std::size_t sample = 0; sample < student.batch; ++sample)
      for (std::size_t head = 0; head < heads; ++head) {
        const Doubles q = student.relations(s, part, heads, head, sample),
                      p = teacher.relations(t, part, heads, head, sample);
        for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] * std::log(p[i] / q[i]);
      }
  return sum / static_cast<double>(of.size() * student.batch * heads * student.sequence);
}

struct Case {
  std::vector<Projected> of;
  std::size_t heads;
  Reference student, teacher;
};
class AttentionRelations : public ::testing::TestWithParam<Case> {};
constexpr Projected queries = Projected::queries, keys = Projected::keys, values = Projected::values;
INSTANTIATE_TEST_SUITE_P(
    Cases, AttentionRelations,
    ::testing::Values(Case{{queries, keys, values}, 2, {2, 5, 2, 4}, {2, 5, 1, 6}},
                      Case{{keys}, 1, {1, 4, 1, 3}, {1, 4, 3, 2}},
                      Case{{values, queries}, 3, {1, 1, 1, 3}, {1, 1, 1, 3}},
                      Case{{queries}, 1, {1, 131, 1, 2}, {1, 131, 1, 2}}));  // tiles, and what is left of one

TEST_P(AttentionRelations, AreTheirDefinitionAndItsSlope) {
  const Case& its = GetParam();
  const Input s = input("student", its.student.shape()), t = input("teacher", its.teacher.shape());
  expect_agreement(
      {s},
      [&](const std::vector<Tensor>& x) {
        Device& device = x[0].device();
        return attention_relations(its.of, its.heads, 0.7, {x[0], its.student.shared},
                                   {tensor(device, t.name, t.shape, t.values), its.teacher.shared});
      },
      [&](const std::vector<Doubles>& x) {
        return Doubles{0.7 * divergence(its.of, its.heads, its.student, x[0], its.teacher, t.values)};
      },
      1e-5);
}

TEST(AttentionRelation, OfAProjectionWithItselfIsZeroAndHasNoSlope) {
  CpuDevice device{2};
  const Input x = input("student", {2, 6, 12});
  Tape tape;
  const Tensor student = wanted(tensor(device, x.name, x.shape, x.values));
  const Tensor loss = [&] {
    const Recording on{&tape};
    return attention_relations({queries, keys, values}, 2, 1, {student, 1}, {student.detached(), 1});
  }();
  EXPECT_NEAR(loss.scalar<float>(), 0, 1e-7);
  tape.backward(loss, tensor(device, "seed", {1}, {1}));
  const Tensor gradient = student.variable()->take();
  for (const float each : gradient.span<float>()) EXPECT_NEAR(each, 0, 1e-7);
}

// A teacher in half precision teaches a student in another; the slope has the student's dtype.
TEST(AttentionRelation, TakesTheDTypesThatItsModelsHave) {
  CpuDevice device{1};
  const Input x = input("student", {1, 4, 12}), y = input("teacher", {1, 4, 12});
  const auto in = [&](const Input& of, DType dtype) {
    const Tensor wide = tensor(device, of.name, of.shape, of.values);
    const Tensor narrow = wide.sibling(of.name, wide.shape(), dtype);
    ops::convert(wide, narrow);
    return narrow;
  };
  const auto loss_of = [&](DType student_type, DType teacher_type) {
    Tape tape;
    const Tensor student = wanted(in(x, student_type));
    const Tensor loss = [&] {
      const Recording on{&tape};
      return attention_relations({keys}, 2, 1, {student, 1}, {in(y, teacher_type), 1});
    }();
    tape.backward(loss, tensor(device, "seed", {1}, {1}));
    EXPECT_EQ(student.variable()->take().dtype(), student_type);
    return loss.scalar<float>();
  };
  const float wide = loss_of(DType::float32, DType::float32);
  EXPECT_NEAR(loss_of(DType::float16, DType::bfloat16), wide, 0.02 * wide);
  EXPECT_NEAR(loss_of(DType::bfloat16, DType::float32), wide, 0.02 * wide);
}

TEST(AttentionRelation, RefusesHeadsThatDivideNothing) {
  CpuDevice device{1};
  const Input x = input("student", {1, 4, 12});
  const Tensor student = tensor(device, x.name, x.shape, x.values);
  EXPECT_THROW(attention_relations({keys}, 3, 1, {student, 1}, {student, 1}), Error);
  EXPECT_THROW(attention_relations({keys}, 2, 1, {student, 3}, {student, 1}), Error);
}

}  // namespace
}  // namespace tranche::compress
