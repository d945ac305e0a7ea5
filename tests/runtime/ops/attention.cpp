#include "runtime/ops/attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "tests/runtime/ops/operands.h"

namespace tranche::ops {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::ThrowsMessage;

// One position, one tile, tiles with tails, several tiles for one thread; narrow, odd, wide and very wide heads; shared
// keys and values.
const AttentionShape shapes[] = {
    shape_of(2, 1, 2, 2, 8),   shape_of(1, 2, 1, 1, 1),    shape_of(1, 17, 2, 2, 16),  shape_of(2, 64, 2, 1, 24),
    shape_of(1, 65, 4, 2, 33), shape_of(1, 100, 3, 3, 64), shape_of(1, 130, 4, 1, 20), shape_of(1, 71, 1, 1, 256),
    shape_of(1, 300, 2, 2, 9), shape_of(1, 333, 1, 1, 72),
};
AttentionDropout dropout_of(float probability) { return {probability, RandomKey{5, Purpose::dropout}(17)}; }

// The formulas in double precision, one by one.
struct Reference {
  AttentionShape s;
  AttentionDropout dropout;
  std::vector<double> qkv;

  std::size_t row(std::size_t b, std::size_t i) const { return (b * s.sequence + i) * s.qkv_width(); }
  std::size_t query(std::size_t b, std::size_t h, std::size_t i) const { return row(b, i) + h * s.head_width; }
  std::size_t key(std::size_t b, std::size_t h, std::size_t j) const {
    return row(b, j) + (s.heads + h / (s.heads / s.groups)) * s.head_width;
  }
  std::size_t value(std::size_t b, std::size_t h, std::size_t j) const {
    return key(b, h, j) + s.groups * s.head_width;
  }
  std::size_t output(std::size_t b, std::size_t h, std::size_t i) const {
    return (b * s.sequence + i) * s.width() + h * s.head_width;
  }
  double dot(const std::vector<double>& x, std::size_t at, const std::vector<double>& y, std::size_t other) const {
    double sum = 0;
    for (std::size_t c = 0; c < s.head_width; ++c) sum += x[at + c] * y[other + c];
    return sum;
  }
  double factor(std::size_t b, std::size_t h, std::size_t i, std::size_t j) const {
    const std::uint64_t element = ((b * s.heads + h) * s.sequence + i) * s.sequence + j;
    const double kept = uniform(dropout.key.number(element)) >= dropout.probability ? 1 : 0;
    return kept / (1 - static_cast<double>(dropout.probability));
  }
  // The softmax's row of one query, before dropout, and its log-sum-exp.
  struct Row {
    std::vector<double> weights;
    double log_sum = 0;
  };
  Row row_of(std::size_t b, std::size_t h, std::size_t i) const {
    Row row;
    for (std::size_t j = 0; j <= i; ++j) row.weights.push_back(s.scale * dot(qkv, query(b, h, i), qkv, key(b, h, j)));
    const double largest = *std::max_element(row.weights.begin(), row.weights.end());
    double sum = 0;
    for (const double score : row.weights) sum += std::exp(score - largest);
    row.log_sum = largest + std::log(sum);
    for (double& weight : row.weights) weight = std::exp(weight - row.log_sum);
    return row;
  }
  template <class Work> void each_query(const Work& work) const {
    for (std::size_t b = 0; b < s.batch; ++b)
      for (std::size_t h = 0; h < s.heads; ++h)
        for (std::size_t i = 0; i < s.sequence; ++i) work(b, h, i);
  }

  struct Forward {
    std::vector<double> y, log_sums;
  };
  Forward forward() const {
    Forward result{std::vector<double>(s.batch * s.sequence * s.width()), {}};
    each_query([&](std::size_t b, std::size_t h, std::size_t i) {
      const Row row = row_of(b, h, i);
      result.log_sums.push_back(row.log_sum);
      for (std::size_t j = 0; j <= i; ++j) {
        const double weight = row.weights[j] * factor(b, h, i, j);
        for (std::size_t c = 0; c < s.head_width; ++c)
          result.y[output(b, h, i) + c] += weight * qkv[value(b, h, j) + c];
      }
    });
    return result;
  }

  std::vector<double> gradient(const std::vector<double>& dy) const {
    std::vector<double> dqkv(qkv.size());
    each_query([&](std::size_t b, std::size_t h, std::size_t i) {
      const Row row = row_of(b, h, i);
      std::vector<double> factors(i + 1), dweights(i + 1);
      double delta = 0;
      for (std::size_t j = 0; j <= i; ++j) {
        factors[j] = factor(b, h, i, j);
        dweights[j] = factors[j] * dot(dy, output(b, h, i), qkv, value(b, h, j));
        delta += row.weights[j] * dweights[j];
      }
      for (std::size_t j = 0; j <= i; ++j) {
        const double dscore = s.scale * row.weights[j] * (dweights[j] - delta);
        for (std::size_t c = 0; c < s.head_width; ++c) {
          dqkv[value(b, h, j) + c] += row.weights[j] * factors[j] * dy[output(b, h, i) + c];
          dqkv[query(b, h, i) + c] += dscore * qkv[key(b, h, j) + c];
          dqkv[key(b, h, j) + c] += dscore * qkv[query(b, h, i) + c];
        }
      }
    });
    return dqkv;
  }
};

// Float32 arithmetic on values of size 1, and the rounding of what is stored: an element's bound is of the largest one.
void expect_near(const Tensor& y, const std::vector<double>& expected, double float_error, double more_roundings) {
  double largest = 0;
  for (const double x : expected) largest = std::max(largest, std::abs(x));
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double bound =
        float_error * largest + rounding(y.dtype(), expected[i]) * 1.01 + more_roundings * rounding(y.dtype(), largest);
    ASSERT_NEAR(value(y, i), expected[i], bound) << "at " << i << " of " << y.shape();
  }
}

struct Made {
  Tensor qkv, y, log_sums, dy, dqkv;
};

Made make_all(Device& device, const AttentionShape& s, DType dtype, std::size_t offset = 0) {
  const std::size_t rows = s.batch * s.sequence;
  return {random(device, {rows, s.qkv_width()}, dtype, 1, offset), make(device, {rows, s.width()}, dtype, offset * 3),
          make(device, {s.batch, s.heads, s.sequence}, DType::float32, offset),
          random(device, {rows, s.width()}, dtype, 2, offset), random(device, {rows, s.qkv_width()}, dtype, 3, offset)};
}

class Attention : public testing::TestWithParam<std::tuple<DType, float>> {
 protected:
  TestDevice device{2};
  DType dtype = std::get<0>(GetParam());
  AttentionDropout dropout = dropout_of(std::get<1>(GetParam()));
};

TEST_P(Attention, ForwardIsTheSoftmaxOverEarlierKeys) {
  for (const AttentionShape& s : shapes) {
    const Made t = make_all(device, s, dtype);
    attention(t.qkv, s, dropout, t.y, t.log_sums);
    const Reference::Forward expected = Reference{s, dropout, values(t.qkv)}.forward();
    expect_near(t.y, expected.y, 2e-6, 0);
    expect_near(t.log_sums, expected.log_sums, 1e-6, 0);
  }
}

TEST_P(Attention, GradientIsWrittenOrAddedAndRoundedOnce) {
  for (const AttentionShape& s : shapes) {
    const Made t = make_all(device, s, dtype);
    attention(t.qkv, s, dropout, t.y, t.log_sums);
    std::vector<double> expected = Reference{s, dropout, values(t.qkv)}.gradient(values(t.dy));
    const std::vector<double> held = values(t.dqkv);
    // y was rounded before its product with dy.
    const Tensor written = make(device, t.qkv.shape(), dtype);
    attention_gradient(t.dy, t.qkv, t.y, t.log_sums, s, dropout, {written, false});
    expect_near(written, expected, 1e-5, 4);
    attention_gradient(t.dy, t.qkv, t.y, t.log_sums, s, dropout, {t.dqkv, true});
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += held[i];
    expect_near(t.dqkv, expected, 1e-5, 4);
  }
}

std::string all_bits(const AttentionShape& s, DType dtype, const AttentionDropout& dropout, std::size_t threads,
                     std::size_t offset) {
  TestDevice device{threads};
  const Made t = make_all(device, s, dtype, offset);
  attention(t.qkv, s, dropout, t.y, t.log_sums);
  attention_gradient(t.dy, t.qkv, t.y, t.log_sums, s, dropout, {t.dqkv, true});
  return bits(t.y) + bits(t.log_sums) + bits(t.dqkv);
}

TEST_P(Attention, SameBitsOnAnyNumberOfThreadsAndAtAnyAlignment) {
  for (const AttentionShape& s : {shape_of(2, 90, 4, 2, 20), shape_of(1, 260, 2, 2, 16)}) {
    const std::string one = all_bits(s, dtype, dropout, 1, 0);
    for (const std::size_t threads : {2, 3}) EXPECT_TRUE(all_bits(s, dtype, dropout, threads, 0) == one) << threads;
    for (const std::size_t offset : {1, 3, 8}) EXPECT_TRUE(all_bits(s, dtype, dropout, 1, offset) == one) << offset;
  }
}

TEST_P(Attention, AQuerysOutputDoesNotDependOnWhatFollows) {
  const AttentionShape whole = shape_of(1, 200, 2, 1, 40), start = shape_of(1, 90, 2, 1, 40);
  if (dropout.probability > 0) return;  // elements are numbered by the whole sequence
  const Made t = make_all(device, whole, dtype), u = make_all(device, start, dtype);
  attention(t.qkv, whole, dropout, t.y, t.log_sums);
  attention(u.qkv, start, dropout, u.y, u.log_sums);
  ASSERT_EQ(bits(t.qkv.view(0, u.qkv.shape())), bits(u.qkv));
  EXPECT_TRUE(bits(t.y.view(0, u.y.shape())) == bits(u.y));
}

// A thread's memory keeps what the tile before left in it, and zero times NaN is NaN.
TEST_P(Attention, WhatAThreadsMemoryHeldBeforeIsNeverSeen) {
  for (const AttentionShape& s : shapes) {
    const std::string clean = all_bits(s, dtype, dropout, 1, 0);
    TestDevice same{1};
    const AttentionShape large = shape_of(1, 400, 1, 1, 256);
    const Made poison = make_all(same, large, dtype), t = make_all(same, s, dtype);
    for (const Tensor& each : {poison.qkv, poison.dy})
      for (std::size_t i = 0; i < each.size(); ++i) set(each, i, NAN);
    attention(poison.qkv, large, dropout, poison.y, poison.log_sums);
    attention(t.qkv, s, dropout, t.y, t.log_sums);
    attention_gradient(poison.dy, poison.qkv, poison.y, poison.log_sums, large, dropout, {poison.dqkv, false});
    attention_gradient(t.dy, t.qkv, t.y, t.log_sums, s, dropout, {t.dqkv, true});
    EXPECT_TRUE(bits(t.y) + bits(t.log_sums) + bits(t.dqkv) == clean) << "sequence " << s.sequence;
  }
}

TEST_P(Attention, LargeScoresNeitherOverflowNorLoseTheLargest) {
  const AttentionShape s = shape_of(1, 100, 1, 1, 16);
  const Made t = make_all(device, s, dtype);
  for (std::size_t i = 0; i < t.qkv.size(); ++i) set(t.qkv, i, static_cast<float>(value(t.qkv, i)) * 30);
  attention(t.qkv, s, dropout, t.y, t.log_sums);
  expect_near(t.y, Reference{s, dropout, values(t.qkv)}.forward().y, 2e-3, 0);  // scores reach 3,000
}

INSTANTIATE_TEST_SUITE_P(All, Attention,
                         testing::Combine(testing::Values(DType::float32, DType::bfloat16, DType::float16),
                                          testing::Values(0.0f, 0.3f)),
                         [](const auto& test) {
                           return std::string{name_of(std::get<0>(test.param))} +
                                  (std::get<1>(test.param) > 0 ? "WithDropout" : "");
                         });

// A text that grows at its end, some tokens at a time: each token's output is what attention over the whole text gives.
TEST(AttentionOverKept, IsThatOverTheWholeText) {
  TestDevice device;
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16})
    for (const AttentionShape& s : {shape_of(1, 75, 4, 2, 24), shape_of(1, 40, 2, 2, 1), shape_of(1, 37, 1, 1, 140)}) {
      const std::size_t capacity = s.sequence + 3, width = s.qkv_width();
      const KeysAndValues kept{make(device, {s.groups, capacity, s.head_width}, DType::float32),
                               make(device, {s.groups, capacity, s.head_width}, DType::float32)};
      const Tensor qkv = random(device, {s.sequence, width}, dtype, 1);
      const Tensor y = make(device, {s.sequence, s.width()}, dtype);
      for (std::size_t past = 0, count = 1; past < s.sequence; past += count, count = count * 2 + 1) {
        AttentionShape part = s;
        part.sequence = count = std::min(count, s.sequence - past);
        const Tensor some = qkv.view(past * width, {count, width});
        keep_keys_and_values(some, part, past, kept);
        attention_over_kept(some, part, past, kept, y.view(past * s.width(), {count, s.width()}));
      }
      expect_near(y, Reference{s, {}, values(qkv)}.forward().y, 2e-6, 0);
    }
}

TEST(AttentionErrors, NameTheOpAndWhatIsWrong) {
  TestDevice device;
  const AttentionShape s = shape_of(1, 4, 4, 2, 8);
  const Made t = make_all(device, s, DType::float32);
  const auto run = [&](const AttentionShape& shape, const Tensor& y) { attention(t.qkv, shape, {}, y, t.log_sums); };
  EXPECT_THAT([&] { run(shape_of(1, 4, 4, 3, 8), t.y); },
              ThrowsMessage<Error>(HasSubstr("attention: 4 heads cannot share 3 groups")));
  EXPECT_THAT([&] { run(s, t.qkv); },
              ThrowsMessage<Error>(HasSubstr("attention: y has shape [4, 64], expected [4, 32]")));
}

}  // namespace
}  // namespace tranche::ops
