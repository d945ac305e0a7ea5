#include "runtime/ops/distillation.h"

#include <numeric>

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

using testing::Test;

double log_sum(const Values& x) {
  double sum = 0;
  for (const double each : x) sum += std::exp(each);
  return std::log(sum);
}
Values divided(const Values& x, double by) {
  Values result;
  for (const double each : x) result.push_back(each / by);
  return result;
}

// By the definition, in double.
double reference(const Values& student, const Values& teacher, const std::vector<int>& targets, std::size_t classes,
                 const DistillationTerms& terms) {
  double sum = 0, counted = 0;
  for (std::size_t row = 0; row < targets.size(); ++row) {
    if (targets[row] < 0) continue;
    ++counted;
    const auto of = [&](const Values& all) {
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(row * classes);
      return Values(first, first + static_cast<std::ptrdiff_t>(classes));
    };
    const Values s = of(student), t = of(teacher);
    const double temperature = double{terms.temperature};
    const Values ls = divided(s, temperature), lt = divided(t, temperature);
    double divergence = 0;
    for (std::size_t i = 0; i < classes; ++i) {
      const double log_q = ls[i] - log_sum(ls), log_p = lt[i] - log_sum(lt);
      divergence += terms.divergence == Divergence::forward ? std::exp(log_p) * (log_p - log_q)
                                                            : std::exp(log_q) * (log_q - log_p);
    }
    const double alpha = double{terms.alpha};
    sum += (1 - alpha) * (log_sum(s) - s[static_cast<std::size_t>(targets[row])]) +
           alpha * temperature * temperature * divergence;
  }
  return sum / counted;
}

class Distillations : public testing::TestWithParam<std::tuple<Divergence, float, float>> {
 protected:
  const std::size_t rows = 5, classes = 23;
  const std::vector<int> targets{3, 22, -100, 0, 7};
  TestDevice device{2};
  const DistillationTerms terms{std::get<1>(GetParam()), std::get<2>(GetParam()), std::get<0>(GetParam())};
  const Tensor target_tensor = tensor_of(device, {rows}, DType::int32, Values(targets.begin(), targets.end()));
};
INSTANTIATE_TEST_SUITE_P(Terms, Distillations,
                         testing::Combine(testing::Values(Divergence::forward, Divergence::reverse),
                                          testing::Values(0.0f, 0.3f, 1.0f), testing::Values(1.0f, 2.5f)));

TEST_P(Distillations, AreTheirDefinitionAndItsSlope) {
  for (const DType dtype : floating_dtypes) {
    const Tensor student = random_tensor(device, {rows, classes}, DType::float32, 1);
    const Tensor teacher = random_tensor(device, {rows, classes}, dtype, 2);
    const Tensor loss = blank(device, {1}, DType::float32), statistics = blank(device, {rows, 4}, DType::float32);
    distillation(student, teacher, target_tensor, terms, loss, statistics);
    const Values s = read(student), t = read(teacher);
    EXPECT_NEAR(read(loss, 0), reference(s, t, targets, classes, terms), 2e-6);
    const Tensor dloss = tensor_of(device, {1}, DType::float32, {0.5}),
                 d = blank(device, {rows, classes}, DType::float32);
    distillation_gradient(dloss, student, teacher, target_tensor, terms, statistics, {d, false});
    constexpr double step = 1e-5;
    for (std::size_t i = 0; i < s.size(); ++i) {
      Values up = s, down = s;
      up[i] += step, down[i] -= step;
      const double slope =
          (reference(up, t, targets, classes, terms) - reference(down, t, targets, classes, terms)) / (2 * step);
      EXPECT_NEAR(read(d, i), 0.5 * slope, 1e-6) << i;
    }
    // In place, and added.
    const Tensor sum = tensor_of(device, {rows, classes}, DType::float32, read(d));
    distillation_gradient(dloss, student, teacher, target_tensor, terms, statistics, {sum, true});
    distillation_gradient(dloss, student, teacher, target_tensor, terms, statistics, {student, false});
    EXPECT_EQ(read(student), read(d));
    for (std::size_t i = 0; i < s.size(); ++i) EXPECT_NEAR(read(sum, i), 2 * read(d, i), 1e-6);
  }
}

TEST(Distillation, OfATeacherLikeTheStudentIsCrossEntropyAlone) {
  TestDevice device;
  const Tensor logits = random_tensor(device, {4, 9}, DType::bfloat16, 1), d = blank(device, {4, 9}, DType::bfloat16);
  const Tensor targets = tensor_of(device, {4}, DType::int32, {1, 2, 3, 8});
  const Tensor loss = blank(device, {1}, DType::float32), statistics = blank(device, {4, 4}, DType::float32);
  distillation(logits, logits, targets, {.alpha = 1, .temperature = 3}, loss, statistics);
  EXPECT_NEAR(read(loss, 0), 0, 1e-6);
  distillation_gradient(tensor_of(device, {1}, DType::float32, {1}), logits, logits, targets,
                        {.alpha = 1, .temperature = 3}, statistics, {d, false});
  for (std::size_t i = 0; i < 36; ++i) EXPECT_NEAR(read(d, i), 0, 1e-7);
}

// Rows that are one class wide, wider than what computes them together, and one alone; the student in every dtype. With
// p and q the two distributions: the slope of the loss by its formula (runtime/ops/functors/distillation.h), in double.
TEST(Distillation, HoldsAtEveryWidthAndDType) {
  TestDevice device{2};
  for (const auto& [rows, classes] : {std::pair<std::size_t, std::size_t>{1, 1}, {1, 1000}, {70, 33}, {3, 2049}})
    for (const Divergence divergence : {Divergence::forward, Divergence::reverse})
      for (const DType dtype : floating_dtypes) {
        const DistillationTerms terms{.alpha = 0.3f, .temperature = 2, .divergence = divergence};
        const Tensor student = random_tensor(device, {rows, classes}, dtype, 1);
        const Tensor teacher = random_tensor(device, {rows, classes}, DType::bfloat16, 2);
        Values targets(rows);
        std::vector<int> places(rows);
        for (std::size_t row = 0; row < rows; ++row) {
          places[row] = row % 7 == 3 ? -100 : static_cast<int>(row * 5 % classes);
          targets[row] = places[row];
        }
        const Tensor target_tensor = tensor_of(device, {rows}, DType::int32, targets);
        const Tensor loss = blank(device, {1}, DType::float32), statistics = blank(device, {rows, 4}, DType::float32);
        distillation(student, teacher, target_tensor, terms, loss, statistics);
        const Values s = read(student), t = read(teacher);
        EXPECT_NEAR(read(loss, 0), reference(s, t, places, classes, terms), 4e-6);

        const Tensor dloss = tensor_of(device, {1}, DType::float32, {64}), d = blank(device, {rows, classes}, dtype);
        distillation_gradient(dloss, student, teacher, target_tensor, terms, statistics, {d, false});
        const double counted = static_cast<double>(rows - std::count(places.begin(), places.end(), -100));
        const double each = 64 / counted, alpha = double{terms.alpha}, temperature = double{terms.temperature};
        Values expected(s.size());
        for (std::size_t row = 0; row < rows; ++row) {
          if (places[row] < 0) continue;
          const auto of = [&, width = classes](const Values& all) {
            const auto first = all.begin() + static_cast<std::ptrdiff_t>(row * width);
            return Values(first, first + static_cast<std::ptrdiff_t>(width));
          };
          const Values ls = of(s), soft_s = divided(ls, temperature), soft_t = divided(of(t), temperature);
          const double hard_sum = log_sum(ls), q_sum = log_sum(soft_s), p_sum = log_sum(soft_t);
          double mean = 0;
          for (std::size_t i = 0; i < classes; ++i)
            mean += std::exp(soft_s[i] - q_sum) * (soft_s[i] - q_sum - soft_t[i] + p_sum);
          for (std::size_t i = 0; i < classes; ++i) {
            const double log_q = soft_s[i] - q_sum, log_p = soft_t[i] - p_sum, q = std::exp(log_q);
            const double towards = divergence == Divergence::reverse ? q * (log_q - log_p - mean) : q - std::exp(log_p);
            const double away = std::exp(ls[i] - hard_sum) - (static_cast<int>(i) == places[row] ? 1 : 0);
            expected[row * classes + i] = (1 - alpha) * each * away + alpha * temperature * each * towards;
          }
        }
        expect_near(d, expected, 64 * 3e-7);
      }
}

}  // namespace
}  // namespace tranche::ops
