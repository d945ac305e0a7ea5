// How fast the kernels are, one line each, on one thread and the best instruction path. The bounds only tell a loop
// that the compiler turned into vectors from one that it did not (about 10 ns an element and more).
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "runtime/ops/activation.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/embedding.h"
#include "runtime/ops/loss.h"
#include "runtime/ops/norm.h"
#include "runtime/ops/optimizer.h"
#include "runtime/ops/reduce.h"
#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

// Nanoseconds an element, the best of five; printed.
template <class Work> double time_of(const std::string& what, std::size_t elements, const Work& work) {
  double best = std::numeric_limits<double>::infinity();
  for (int run = 0; run < 5; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
    best = std::min(best, taken.count() / static_cast<double>(elements));
  }
  std::printf("%-44s %7.3f ns/element\n", what.c_str(), best);
  return best;
}

Tensor normal(Device& device, Shape shape, DType dtype) {
  const Tensor values = Tensor::empty(device, "values", Category::activations, shape, DType::float32);
  fill_normal(values, RandomKey{1, Purpose::initialise}, 0, 0, 1);
  const Tensor x = values.sibling("x", shape, dtype);
  convert(values, x);
  return x;
}

TEST(Speed, OfOwnedElements) {
  CpuDevice device;
  const std::size_t size = std::size_t{16} << 20;
  const Tensor weights = normal(device, {size}, DType::float32), gradient = normal(device, {size}, DType::float32);
  const Tensor mean = Tensor::zeros(device, "mean", Category::optimizer, {size}, DType::float32);
  const Tensor square = Tensor::zeros(device, "square", Category::optimizer, {size}, DType::float32);
  const Tensor working = weights.sibling("working", {size}, DType::bfloat16);
  const AdamStep step{.rate = 1e-3f, .weight_decay = 0.1f, .correction1 = 0.1f, .correction2 = 0.001f};
  const double update = time_of("adam", size, [&] { adam(step, weights, mean, square, gradient, {}); });
  std::printf("%-44s %7.1f GB/s\n", "adam, 28 bytes an element", 28 / update);
  EXPECT_LT(update, 6);
  EXPECT_LT(time_of("adam with a bfloat16 copy", size, [&] { adam(step, weights, mean, square, gradient, working); }),
            6);
  EXPECT_LT(time_of("sgd", size, [&] { sgd({.rate = 0.1f, .momentum = 0.9f}, weights, mean, gradient, {}); }), 5);
  Values partials(size / block);
  EXPECT_LT(time_of("scale_and_sum_squares", size, [&] { scale_and_sum_squares(gradient, 1, partials); }), 3);
  EXPECT_LT(time_of("first_non_finite", size, [&] { first_non_finite(weights); }), 3);
  EXPECT_LT(time_of("accumulate bfloat16", size,
                    [&] { accumulate(working.byte_span(), DType::bfloat16, gradient.span<float>()); }),
            3);
  EXPECT_LT(time_of("fill_normal", size, [&] { fill_normal(weights, RandomKey{}, 0, 0, 1); }), 15);
}

class SpeedOf : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(DTypes, SpeedOf, testing::ValuesIn(floating_dtypes), dtype_name);

TEST_P(SpeedOf, Activations) {
  CpuDevice device;
  const Shape shape{1024, 3072};
  const Tensor x = normal(device, shape, GetParam()), y = x.sibling("y", shape, GetParam());
  constexpr std::pair<Activation, const char*> kinds[] = {{Activation::gelu_tanh, "gelu_tanh"},
                                                          {Activation::gelu_erf, "gelu_erf"},
                                                          {Activation::silu, "silu"},
                                                          {Activation::relu, "relu"}};
  for (const auto& [kind, name] : kinds) {
    EXPECT_LT(time_of(name, x.size(), [&] { activate(kind, x, y); }), 12);
    EXPECT_LT(time_of(str(name, " gradient"), x.size(), [&] { activate_gradient(kind, x, x, {y, false}); }), 15);
  }
  EXPECT_LT(time_of("dropout", x.size(), [&] { dropout(x, 0.1f, RandomKey{}, y); }), 12);
}

TEST_P(SpeedOf, Rows) {
  CpuDevice device;
  const Shape shape{4096, 768};
  const Tensor x = normal(device, shape, GetParam()), y = x.sibling("y", shape, GetParam());
  const Tensor gain = normal(device, {768}, GetParam()), bias = normal(device, {768}, GetParam());
  const Tensor statistics = x.sibling("statistics", {4096, 2}, DType::float32);
  EXPECT_LT(time_of("layer_norm", x.size(), [&] { layer_norm(x, gain, bias, 1e-5f, y, statistics); }), 6);
  EXPECT_LT(time_of("layer_norm_input_gradient", x.size(),
                    [&] {
                      layer_norm_input_gradient(x, x, gain, statistics, {y, false});
                    }),
            8);
  EXPECT_LT(time_of("layer_norm_parameter_gradients", x.size(),
                    [&] {
                      layer_norm_parameter_gradients(x, x, statistics, {gain, false}, {bias, false});
                    }),
            6);
}

TEST_P(SpeedOf, CrossEntropyOver50257Classes) {
  CpuDevice device;
  const std::size_t rows = 128, classes = 50257;
  const Tensor logits = normal(device, {rows, classes}, GetParam());
  const Tensor targets = tensor_of(device, {rows}, DType::int32, Values(rows, 7.0));
  const Tensor loss = blank(device, {1}, DType::float32), log_sums = blank(device, {rows}, DType::float32);
  EXPECT_LT(time_of("cross_entropy", logits.size(), [&] { cross_entropy(logits, targets, loss, log_sums); }), 6);
  const Tensor dlogits = logits.sibling("dlogits", {rows, classes}, GetParam());
  EXPECT_LT(time_of("cross_entropy_gradient", logits.size(),
                    [&] {
                      cross_entropy_gradient(loss, logits, targets, log_sums, {dlogits, false});
                    }),
            8);
}

}  // namespace
}  // namespace tranche::ops
