// The same kernels against PyTorch's optimizers: tests/runtime/optim.
#include "runtime/ops/optimizer.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

void expect_relatively_near(const Tensor& tensor, const Values& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(read(tensor, i), expected[i], 1e-6 * (1 + std::fabs(expected[i]))) << "element " << i;
}

// Weights and state of `size` elements, and what a reference in double makes of them.
struct AdamCase {
  AdamCase(Device& device, std::size_t size)
      : weights(random_tensor(device, {size}, DType::float32, 1)),
        mean(random_tensor(device, {size}, DType::float32, 2, 0.1)),
        square(random_tensor(device, {size}, DType::float32, 3)),
        gradient(random_tensor(device, {size}, DType::float32, 4)) {
    for (std::size_t i = 0; i < size; ++i) square.span<float>()[i] *= square.span<float>()[i];
  }
  void step(const AdamStep& s) {
    Values g = read(gradient);
    w = read(weights), m = read(mean), v = read(square);
    for (std::size_t i = 0; i < w.size(); ++i) {
      if (!s.decoupled) g[i] += double{s.weight_decay} * w[i];
      m[i] = double{s.beta1} * m[i] + (1 - double{s.beta1}) * g[i];
      v[i] = double{s.beta2} * v[i] + (1 - double{s.beta2}) * g[i] * g[i];
      if (s.decoupled) w[i] *= 1 - double{s.rate} * double{s.weight_decay};
      w[i] -= double{s.rate} * (m[i] / double{s.correction1}) /
              (std::sqrt(v[i] / double{s.correction2}) + double{s.epsilon});
    }
  }
  Tensor weights, mean, square, gradient;
  Values w, m, v;
};

TEST(Adam, AgreesWithItsFormulas) {
  TestDevice device{2};
  for (const bool decoupled : {true, false}) {
    for (const std::size_t size : odd_sizes) {
      AdamCase one{device, size};
      const AdamStep step{.rate = 1e-2f,
                          .beta1 = 0.9f,
                          .beta2 = 0.95f,
                          .epsilon = 1e-3f,
                          .weight_decay = 0.1f,
                          .correction1 = 0.271f,
                          .correction2 = 0.142625f,
                          .decoupled = decoupled};
      one.step(step);
      adam(step, one.weights, one.mean, one.square, one.gradient, {});
      expect_relatively_near(one.weights, one.w);
      expect_relatively_near(one.mean, one.m);
      expect_relatively_near(one.square, one.v);
    }
  }
}

TEST(Adam, RoundsTheWorkingCopyInTheSamePass) {
  TestDevice device;
  for (const DType dtype : {DType::bfloat16, DType::float16}) {
    AdamCase with{device, 1025}, without{device, 1025};
    const Tensor working = blank(device, {1025}, dtype);
    const AdamStep step{.rate = 1e-2f, .weight_decay = 0.1f, .correction1 = 0.1f, .correction2 = 0.001f};
    adam(step, with.weights, with.mean, with.square, with.gradient, working);
    adam(step, without.weights, without.mean, without.square, without.gradient, {});
    EXPECT_EQ(bytes_of_tensors({with.weights, with.mean, with.square}),
              bytes_of_tensors({without.weights, without.mean, without.square}));
    for (std::size_t i = 0; i < 1025; ++i) ASSERT_EQ(read(working, i), double{rounded(read(with.weights, i), dtype)});
  }
}

TEST(Adam, AZeroGradientMovesNothingWithoutDecay) {
  TestDevice device;
  const Tensor weights = random_tensor(device, {100}, DType::float32, 1);
  const Tensor mean = tensor_of(device, {100}, DType::float32, Values(100)),
               square = mean.sibling("square", {100}, DType::float32);
  square.fill_zero();
  const Tensor gradient = tensor_of(device, {100}, DType::float32, Values(100));
  const Values before = read(weights);
  adam({.rate = 1, .correction1 = 0.1f, .correction2 = 0.001f}, weights, mean, square, gradient, {});
  EXPECT_EQ(read(weights), before);
}

TEST(Sgd, AgreesWithItsFormulas) {
  TestDevice device{2};
  for (const bool nesterov : {false, true}) {
    for (const bool first : {false, true}) {
      for (const std::size_t size : odd_sizes) {
        const Tensor weights = random_tensor(device, {size}, DType::float32, 1);
        // The first update must not read the buffer: it holds NaN.
        const Tensor buffer =
            first ? blank(device, {size}, DType::float32) : random_tensor(device, {size}, DType::float32, 2);
        const Tensor gradient = random_tensor(device, {size}, DType::float32, 3);
        const Tensor working = blank(device, {size}, DType::bfloat16);
        const SgdStep step{.rate = 0.1f,
                           .momentum = 0.9f,
                           .dampening = 0.25f,
                           .weight_decay = 0.05f,
                           .nesterov = nesterov,
                           .first = first};
        Values w = read(weights), b = read(buffer), g = read(gradient);
        for (std::size_t i = 0; i < size; ++i) {
          g[i] += double{step.weight_decay} * w[i];
          b[i] = first ? g[i] : double{step.momentum} * b[i] + 0.75 * g[i];
          w[i] -= double{step.rate} * (nesterov ? g[i] + double{step.momentum} * b[i] : b[i]);
        }
        sgd(step, weights, buffer, gradient, working);
        expect_relatively_near(weights, w);
        expect_relatively_near(buffer, b);
        for (std::size_t i = 0; i < size; ++i)
          ASSERT_EQ(read(working, i), double{rounded(read(weights, i), DType::bfloat16)});
      }
    }
  }
}

TEST(Sgd, WithoutMomentumNeedsNoBuffer) {
  TestDevice device;
  const Tensor weights = random_tensor(device, {1025}, DType::float32, 1),
               gradient = random_tensor(device, {1025}, DType::float32, 2);
  Values w = read(weights);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] -= double{0.1f} * (read(gradient, i) + double{0.05f} * w[i]);
  sgd({.rate = 0.1f, .weight_decay = 0.05f}, weights, {}, gradient, {});
  expect_relatively_near(weights, w);
  EXPECT_THROW(sgd({.rate = 0.1f, .momentum = 0.9f}, weights, {}, gradient, {}), Error);
}

TEST(OptimizerUpdates, GiveTheSameBitsEverywhere) {
  expect_same_bits_everywhere([](Device& on) {
    AdamCase one{on, 33000};
    const Tensor working = blank(on, {33000}, DType::float16);
    adam({.rate = 1e-2f, .weight_decay = 0.1f, .correction1 = 0.1f, .correction2 = 0.001f}, one.weights, one.mean,
         one.square, one.gradient, working);
    sgd({.rate = 0.1f, .momentum = 0.9f, .nesterov = true}, one.weights, one.mean, one.gradient, {});
    return bytes_of_tensors({one.weights, one.mean, one.square, working});
  });
}

TEST(OptimizerUpdates, RefuseTensorsThatDoNotMatch) {
  TestDevice device;
  AdamCase one{device, 16};
  const Tensor small = blank(device, {8}, DType::float32), half = blank(device, {16}, DType::float16);
  EXPECT_THROW(adam({}, one.weights, one.mean, small, one.gradient, {}), Error);
  EXPECT_THROW(adam({}, one.weights, one.mean, one.square, half, {}), Error);
  EXPECT_THROW(adam({}, one.weights, one.mean, one.square, one.gradient, one.mean), Error);
}

}  // namespace
}  // namespace tranche::ops
