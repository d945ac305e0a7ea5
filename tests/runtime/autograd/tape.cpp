// The tape's bookkeeping: who gets a gradient, where it is written, and what is kept.
#include "runtime/autograd/tape.h"

#include "tests/runtime/autograd/differences.h"

namespace tranche {
namespace {

using testing::Doubles;
using testing::input;
using testing::wanted;

class Tapes : public ::testing::Test {
 protected:
  Tensor tensor(const std::string& name, const Shape& shape) {
    const testing::Input made = input(name, shape);
    return testing::tensor(device_, name, shape, made.values);
  }
  Tensor like(const Tensor& x, float value) {
    return testing::tensor(device_, "constant", x.shape(), Doubles(x.size(), value));
  }
  std::size_t live() const { return device_.ledger().live(Category::activations); }
  static std::vector<float> copy(const Tensor& x) { return {x.span<float>().begin(), x.span<float>().end()}; }

  CpuDevice device_{2};
};

// x + silu(x weight^T), twice.
Tensor two_layers(const Tensor& x, const Tensor& weight) {
  const auto layer = [&](const Tensor& h) {
    return autograd::add(h, autograd::activate(ops::Activation::silu, autograd::linear(h, weight)));
  };
  return layer(layer(x));
}

TEST_F(Tapes, RecomputationGivesTheSameBits) {
  const Tensor values = tensor("x", {8, 6}), weights = tensor("weight", {6, 6});
  const auto gradients = [&](bool recomputing) {
    const Tensor x = wanted(values.detached()), weight = wanted(weights.detached());
    Tape tape;
    Tensor y;
    {
      const Recording on{&tape};
      y = recomputing ? recomputed(x, [&](const Tensor& start) { return two_layers(start, weight); })
                      : two_layers(x, weight);
    }
    const std::vector<float> result = copy(y);
    tape.backward(y, like(y, 0.5f));
    return std::tuple{result, copy(x.variable()->take()), copy(weight.variable()->take())};
  };
  EXPECT_EQ(gradients(false), gradients(true));
}

TEST_F(Tapes, RecomputationKeepsTheInputAlone) {
  const Tensor x = wanted(tensor("x", {64, 32})), weight = wanted(tensor("weight", {32, 32}));
  const auto kept = [&](bool recomputing) {
    const std::size_t before = live();
    Tape tape;
    const Recording on{&tape};
    const Tensor y = recomputing ? recomputed(x, [&](const Tensor& start) { return two_layers(start, weight); })
                                 : two_layers(x, weight);
    return live() - before;
  };
  EXPECT_EQ(kept(true), x.bytes());       // the result
  EXPECT_EQ(kept(false), 4 * x.bytes());  // two projections, the sum between, and the result
}

TEST_F(Tapes, BackwardFreesWhatItHasUsed) {
  const Tensor x = wanted(tensor("x", {64, 32})), weight = wanted(tensor("weight", {32, 32}));
  const std::size_t before = live();
  {
    Tape tape;
    Tensor y;
    {
      const Recording on{&tape};
      y = two_layers(x, weight);
    }
    tape.backward(y, like(y, 1));
  }
  x.variable()->take();
  weight.variable()->take();
  EXPECT_EQ(live(), before);
}

TEST_F(Tapes, ADroppedTapeKeepsNothing) {
  const Tensor x = wanted(tensor("x", {64, 32})), weight = wanted(tensor("weight", {32, 32}));
  const std::size_t before = live();
  {
    Tape tape;
    const Recording on{&tape};
    two_layers(x, weight);
  }
  EXPECT_EQ(live(), before);
}

TEST_F(Tapes, NothingIsRecordedWithoutATapeOrAWantedGradient) {
  const Tensor x = tensor("x", {4, 6}), weight = tensor("weight", {6, 6});
  EXPECT_EQ(autograd::linear(wanted(x), weight).variable(), nullptr);
  Tape tape;
  const Recording on{&tape};
  EXPECT_EQ(autograd::linear(x, weight).variable(), nullptr);
  EXPECT_NE(autograd::linear(x, wanted(weight)).variable(), nullptr);
  const Recording pause{nullptr};
  EXPECT_EQ(autograd::linear(x, wanted(weight)).variable(), nullptr);
}

TEST_F(Tapes, BackwardFromWhatDependsOnNothingIsAnError) {
  Tape tape;
  const Tensor x = tensor("x", {4});
  EXPECT_THROW(tape.backward(x, x), Error);
}

// As a unit binds its parameters to views of its flat gradient.
TEST_F(Tapes, ABoundGradientIsWrittenInPlaceThenAddedTo) {
  const Tensor x = tensor("x", {4, 6}), weight = wanted(tensor("weight", {5, 6}));
  const Tensor flat = like(tensor("flat", {100}), NAN);  // what was there before must not matter
  const auto backward = [&](int uses) {
    Tape tape;
    Tensor y;
    {
      const Recording on{&tape};
      y = autograd::linear(x, weight);
      for (int use = 1; use < uses; ++use) y = autograd::add(y, autograd::linear(x, weight));
    }
    tape.backward(y, like(y, 1));
  };
  backward(1);
  const std::vector<float> once = copy(weight.variable()->take());

  weight.variable()->bind(flat.view(40, {5, 6}));
  EXPECT_FALSE(weight.variable()->received());
  backward(1);
  EXPECT_TRUE(weight.variable()->received());
  EXPECT_EQ(copy(flat.view(40, {5, 6})), once);
  EXPECT_TRUE(std::isnan(flat.span<float>()[39]));
  EXPECT_TRUE(std::isnan(flat.span<float>()[70]));

  backward(3);  // a tied weight's later contributions
  std::vector<float> four_times = once;
  for (int use = 0; use < 3; ++use)
    for (std::size_t i = 0; i < once.size(); ++i) four_times[i] += once[i];
  EXPECT_EQ(copy(flat.view(40, {5, 6})), four_times);
  weight.variable()->unbind();
  EXPECT_FALSE(weight.variable()->bound());
}

// add passes one gradient on to both sides; a side that gets more must not change what the other sees.
TEST_F(Tapes, ASharedGradientIsCopiedBeforeItGrows) {
  const Tensor a = wanted(tensor("a", {3, 5})), b = wanted(tensor("b", {3, 5}));
  Tape tape;
  Tensor y;
  {
    const Recording on{&tape};
    const Tensor early = autograd::activate(ops::Activation::relu, a);  // recorded first, so its gradient comes last
    y = autograd::add(autograd::add(a, b), early);
  }
  const Tensor dy = like(y, 1);
  tape.backward(y, dy);
  EXPECT_EQ(copy(dy), std::vector<float>(15, 1.0f));
  EXPECT_EQ(copy(b.variable()->take()), std::vector<float>(15, 1.0f));
  const std::vector<float> da = copy(a.variable()->take());
  for (std::size_t i = 0; i < da.size(); ++i) EXPECT_EQ(da[i], a.span<float>()[i] > 0 ? 2 : 1);
}

TEST_F(Tapes, ResultsHaveTheDtypeOfTheirInputs) {
  for (const DType dtype : {DType::bfloat16, DType::float16}) {
    const auto half = [&](const Shape& shape) {
      return wanted(Tensor::zeros(device_, "half", Category::activations, shape, dtype));
    };
    const Tensor x = half({2, 3, 12}), gain = half({12});
    Tape tape;
    const Recording on{&tape};
    const ops::AttentionShape shape{.batch = 2, .sequence = 3, .heads = 2, .groups = 2, .head_width = 2};
    const Tensor y = autograd::linear(
        autograd::attention(autograd::rotary(autograd::rms_norm(x, gain, 1e-5f), shape, 100), shape), half({12, 4}));
    EXPECT_EQ(y.dtype(), dtype);
    EXPECT_EQ(autograd::cross_entropy(y, testing::integers(device_, {2, 3}, {0, 1, 2, 3, 4, 5})).dtype(),
              DType::float32);
    tape.backward(y, Tensor::zeros(device_, "dy", Category::activations, y.shape(), dtype));
    EXPECT_EQ(x.variable()->take().dtype(), dtype);
    EXPECT_EQ(gain.variable()->take().dtype(), dtype);
  }
}

}  // namespace
}  // namespace tranche
