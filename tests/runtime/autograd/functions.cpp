// Every differentiable function: its result and all its gradients against a naive reference in double.
#include "tests/runtime/autograd/differences.h"
#include "tests/runtime/autograd/naive.h"

namespace tranche {
namespace {

using testing::Doubles;
using testing::expect_agreement;
using testing::input;
using testing::integers;
namespace naive = testing::naive;

using Tensors = std::vector<Tensor>;
using Values = std::vector<Doubles>;

TEST(Gradients, Embedding) {
  const std::vector<std::int32_t> tokens{3, 0, 3, 3, 6, 1};  // rows named often, once, never
  expect_agreement(
      {input("table", {7, 5})},
      [&](const Tensors& x) {
        return autograd::embedding(integers(x[0].device(), {2, 3}, tokens), x[0]);
      },
      [&](const Values& x) { return naive::embedding(tokens, x[0], 5); });
}

TEST(Gradients, LinearWithBias) {
  expect_agreement(
      {input("x", {2, 3, 7}), input("weight", {5, 7}), input("bias", {5})},
      [](const Tensors& x) { return autograd::linear(x[0], x[1], x[2]); },
      [](const Values& x) { return naive::linear(x[0], x[1], x[2], 7); });
}

TEST(Gradients, LinearWithoutBias) {
  expect_agreement(
      {input("x", {19, 6}), input("weight", {11, 6})}, [](const Tensors& x) { return autograd::linear(x[0], x[1]); },
      [](const Values& x) { return naive::linear(x[0], x[1], {}, 6); });
}

TEST(Gradients, LayerNorm) {
  expect_agreement(
      {input("x", {2, 3, 9}), input("gain", {9}), input("bias", {9})},
      [](const Tensors& x) { return autograd::layer_norm(x[0], x[1], x[2], 1e-3f); },
      [](const Values& x) { return naive::layer_norm(x[0], x[1], x[2], 1e-3f); });
}

TEST(Gradients, LayerNormWithoutBias) {
  expect_agreement(
      {input("x", {5, 17}), input("gain", {17})},
      [](const Tensors& x) { return autograd::layer_norm(x[0], x[1], {}, 1e-5f); },
      [](const Values& x) { return naive::layer_norm(x[0], x[1], {}, 1e-5f); });
}

TEST(Gradients, RmsNorm) {
  expect_agreement(
      {input("x", {2, 3, 9}), input("gain", {9})},
      [](const Tensors& x) { return autograd::rms_norm(x[0], x[1], 1e-3f); },
      [](const Values& x) { return naive::rms_norm(x[0], x[1], 1e-3f); });
}

class Activations : public ::testing::TestWithParam<ops::Activation> {};

TEST_P(Activations, Activate) {
  expect_agreement(
      {input("x", {3, 37}, 0.01)},  // away from relu's corner
      [](const Tensors& x) { return autograd::activate(GetParam(), x[0]); },
      [](const Values& x) {
        Doubles y;
        for (const double v : x[0]) y.push_back(naive::activation(GetParam(), v));
        return y;
      });
}

TEST_P(Activations, OfAProductInOneStep) {
  expect_agreement(
      {input("x", {2, 3, 7}), input("weight", {5, 7}), input("bias", {5})},
      [](const Tensors& x) { return autograd::linear_activated(GetParam(), x[0], x[1], x[2]); },
      [](const Values& x) {
        Doubles y;
        for (const double v : naive::linear(x[0], x[1], x[2], 7)) y.push_back(naive::activation(GetParam(), v));
        return y;
      });
}

TEST_P(Activations, Gated) {
  expect_agreement(
      {input("gate", {3, 37}, 0.01), input("up", {3, 37})},
      [](const Tensors& x) { return autograd::gated(GetParam(), x[0], x[1]); },
      [](const Values& x) {
        Doubles y;
        for (std::size_t i = 0; i < x[0].size(); ++i) y.push_back(naive::activation(GetParam(), x[0][i]) * x[1][i]);
        return y;
      });
}

INSTANTIATE_TEST_SUITE_P(Kinds, Activations,
                         ::testing::Values(ops::Activation::gelu_tanh, ops::Activation::gelu_erf, ops::Activation::silu,
                                           ops::Activation::relu));

void expect_attention(const ops::AttentionShape& shape, const ops::AttentionDropout& dropout) {
  expect_agreement(
      {input("qkv", {shape.batch, shape.sequence, shape.qkv_width()})},
      [&](const Tensors& x) { return autograd::attention(x[0], shape, dropout); },
      [&](const Values& x) { return naive::attention(x[0], shape, dropout); }, 1e-5);
}

TEST(Gradients, Attention) {
  expect_attention({.batch = 2, .sequence = 5, .heads = 3, .groups = 3, .head_width = 4, .scale = 0.5f}, {});
}

TEST(Gradients, AttentionOverMoreThanOneTile) {
  expect_attention({.batch = 1, .sequence = 70, .heads = 1, .groups = 1, .head_width = 2, .scale = 0.7f}, {});
}

TEST(Gradients, AttentionWithGroupedKeysAndValues) {
  expect_attention({.batch = 2, .sequence = 4, .heads = 6, .groups = 2, .head_width = 3, .scale = 0.6f}, {});
}

TEST(Gradients, AttentionWithDropout) {
  expect_attention({.batch = 2, .sequence = 6, .heads = 2, .groups = 1, .head_width = 4, .scale = 0.5f},
                   {0.3f, RandomKey{1, Purpose::dropout}});
}

TEST(Gradients, Rotary) {
  for (const std::size_t groups : {1, 2, 4}) {
    const ops::AttentionShape shape{.batch = 2, .sequence = 5, .heads = 4, .groups = groups, .head_width = 6};
    expect_agreement(
        {input("qkv", {2, 5, shape.qkv_width()})}, [&](const Tensors& x) { return autograd::rotary(x[0], shape, 100); },
        [&](const Values& x) { return naive::rotary(x[0], shape, 100); });
  }
}

TEST(Gradients, Add) {
  expect_agreement(
      {input("a", {2, 3, 5}), input("b", {2, 3, 5})}, [](const Tensors& x) { return autograd::add(x[0], x[1]); },
      [](const Values& x) {
        Doubles y = x[0];
        for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[1][i];
        return y;
      });
}

TEST(Gradients, AddOfATensorToItself) {
  expect_agreement(
      {input("x", {4, 5})}, [](const Tensors& x) { return autograd::add(x[0], x[0]); },
      [](const Values& x) {
        Doubles y = x[0];
        for (double& v : y) v *= 2;
        return y;
      });
}

TEST(Gradients, Dropout) {
  const RandomKey key = RandomKey{7, Purpose::dropout}(3);
  expect_agreement(
      {input("x", {6, 31})}, [&](const Tensors& x) { return autograd::dropout(x[0], 0.4f, key); },
      [&](const Values& x) {
        Doubles y = x[0];
        for (std::size_t i = 0; i < y.size(); ++i) y[i] *= naive::kept(key, 0.4f, i) ? 1 / (1 - 0.4) : 0;
        return y;
      });
}

TEST(Gradients, CrossEntropy) {
  const std::vector<std::int32_t> targets{0, 6, -100, 3, 3, 1};
  expect_agreement(
      {input("logits", {2, 3, 7})},
      [&](const Tensors& x) {
        return autograd::cross_entropy(x[0], integers(x[0].device(), {2, 3}, targets));
      },
      [&](const Values& x) { return Doubles{naive::cross_entropy(x[0], targets)}; });
}

// A weight used twice, a tensor read by three functions, a residual: what a tied model has.
TEST(Gradients, ATiedWeightInAResidualStream) {
  const std::vector<std::int32_t> tokens{1, 4, 1, 0}, targets{4, 1, 0, 2};
  expect_agreement(
      {input("table", {5, 6}), input("gain", {6}), input("weight", {6, 6})},
      [&](const Tensors& x) {
        const Tensor h = autograd::embedding(integers(x[0].device(), {1, 4}, tokens), x[0]);
        const Tensor g = autograd::add(h, autograd::linear(autograd::rms_norm(h, x[1], 1e-5f), x[2]));
        return autograd::cross_entropy(autograd::linear(autograd::add(g, h), x[0]),
                                       integers(x[0].device(), {1, 4}, targets));
      },
      [&](const Values& x) {
        const Doubles h = naive::embedding(tokens, x[0], 6);
        Doubles sum = naive::linear(naive::rms_norm(h, x[1], 1e-5f), x[2], {}, 6);
        for (std::size_t i = 0; i < h.size(); ++i) sum[i] += 2 * h[i];
        return Doubles{naive::cross_entropy(naive::linear(sum, x[0], {}, 6), targets)};
      });
}

TEST(Gradients, Recomputed) {
  expect_agreement(
      {input("x", {2, 3, 6}), input("weight", {6, 6}), input("gain", {6})},
      [](const Tensors& x) {
        return recomputed(x[0], [weight = x[1], gain = x[2]](const Tensor& start) {
          const Tensor h = autograd::linear(autograd::rms_norm(start, gain, 1e-5f), weight);
          return autograd::add(start, autograd::activate(ops::Activation::silu, h));
        });
      },
      [](const Values& x) {
        const Doubles h = naive::linear(naive::rms_norm(x[0], x[2], 1e-5f), x[1], {}, 6);
        Doubles y = x[0];
        for (std::size_t i = 0; i < y.size(); ++i) y[i] += naive::activation(ops::Activation::silu, h[i]);
        return y;
      });
}

}  // namespace
}  // namespace tranche
