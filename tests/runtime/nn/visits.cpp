// Visits: who gathers, releases and reduces, and when. runtime/nn/unit.h says how a tape looks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "runtime/autograd/functions.h"
#include "runtime/nn/embedding.h"
#include "runtime/nn/head.h"
#include "runtime/nn/linear.h"
#include "runtime/nn/moment.h"
#include "runtime/nn/norm.h"
#include "runtime/nn/tap.h"
#include "tests/runtime/nn/recorded.h"

namespace tranche {
namespace {

using ::testing::ElementsAre;

std::vector<float> copy(const Tensor& x) { return {x.span<float>().begin(), x.span<float>().end()}; }

// Twice the weight, and for some parameters only: what a fake quantization does to a visit.
class Doubled : public WeightTransform {
 public:
  explicit Doubled(std::string name) : name_(std::move(name)) {}
  bool wants(const Parameter& parameter) const override { return parameter.name == name_; }
  Tensor apply(const Parameter&, const Tensor& weight) const override { return autograd::add(weight, weight); }

 private:
  std::string name_;
};

// An embedding, a layer and a head that is tied to the embedding.
class Visits : public ::testing::Test {
 protected:
  explicit Visits(const WeightTransform& weights = plain_, const ActivationPolicy& activations = keep_)
      : seams_{store_, sync_, weights, activations} {
    units_.emplace_back("embedding", parameters_of(embedding_),
                        [this](const Tensor& x) { return embedding_.forward(x); });
    units_.emplace_back("layer", parameters_of(layer_), [this](const Tensor& x) { return layer_.forward(x); });
    units_.emplace_back(
        "head", parameters_of(head_), [this](const Tensor& x) { return head_.forward(x); },
        std::vector{&units_.front()});
    for (Unit& unit : units_) store_.adopt(unit, seams_);
  }

  template <class Layer> static std::vector<Parameter*> parameters_of(Layer& layer) {
    std::vector<Parameter*> all;
    layer.collect(all);
    return all;
  }
  Tensor tokens() {
    const Tensor x = Tensor::empty(device_, "tokens", Category::activations, {1, 3}, DType::int32);
    x.span<std::int32_t>()[0] = 4, x.span<std::int32_t>()[1] = 1, x.span<std::int32_t>()[2] = 4;
    return x;
  }
  Tensor forward() {
    Tensor x = tokens();
    for (Unit& unit : units_) x = tranche::forward(unit, x);
    return x;
  }
  void accumulate() {
    Tape tape;
    Tensor loss;
    {
      const Recording on{&tape};
      loss = autograd::cross_entropy(forward(), tokens());
    }
    events_.push_back("backward");
    tape.backward(loss, Tensor::zeros(device_, "scale", Category::activations, {1}, DType::float32));
  }
  // The sums of one micro-batch whose loss has gradient 1.
  std::vector<std::vector<float>> gradients() {
    Tape tape;
    Tensor loss;
    {
      const Recording on{&tape};
      loss = autograd::cross_entropy(forward(), tokens());
    }
    const Tensor one = Tensor::zeros(device_, "scale", Category::activations, {1}, DType::float32);
    one.span<float>()[0] = 1;
    tape.backward(loss, one);
    std::vector<std::vector<float>> all;
    for (const Tensor& sum : sync_.finish()) all.push_back(copy(sum));
    return all;
  }

  // Of 2 h + h to x, where a unit gives 2 h and the h within it, 2 x, is tapped.
  float slope_through_a_tap() {
    Unit unit{"unit", {}, [](const Tensor& x) {
                const Tensor h = autograd::add(x, x);
                InnerTaps::offer("unit.h", h);
                return autograd::add(h, h);
              }};
    store_.adopt(unit, seams_);
    Tensor x = Tensor::zeros(device_, "x", Category::activations, {1}, DType::float32);
    x.set_variable(std::make_shared<Variable>());
    Tape tape;
    Tensor sum;
    {
      const Recording on{&tape};
      const auto taps = std::make_shared<InnerTaps>();
      taps->ask("unit.h");
      const Tensor y = [&] {
        const Tapping tapping{taps};
        return tranche::forward(unit, x);
      }();
      sum = autograd::add(y, taps->take("unit.h"));
    }
    const Tensor one = x.sibling("one", {1}, DType::float32);
    one.span<float>()[0] = 1;
    tape.backward(sum, one);
    return x.variable()->take().scalar<float>();
  }

  static inline const WeightTransform plain_;
  static inline const ActivationPolicy keep_;
  CpuDevice device_;
  std::vector<std::string> events_;
  testing::RecordedStore store_{device_, events_};
  testing::RecordedSync sync_{events_};
  Seams seams_;
  Embedding embedding_{"embedding", {FeatureKind::tokens, "tokens", 5}, 4, 0.5};
  Linear layer_{"layer", stream_of(4), stream_of(4), Bias::zeros, 0.5, {}};
  Head<RmsNorm> head_{RmsNorm{"norm", 4, 1e-5}, std::nullopt, embedding_};
  std::deque<Unit> units_;
};

TEST_F(Visits, EvaluationGathersAndReleasesInOrder) {
  forward();
  EXPECT_THAT(events_, ElementsAre("gather embedding", "release embedding", "gather layer", "release layer",
                                   "gather head", "gather embedding", "release head", "release embedding"));
}

TEST_F(Visits, BackwardReducesATiedWeightOnceWhenItsLastGradientIsThere) {
  accumulate();
  EXPECT_THAT(std::vector(events_.begin() + 8, events_.end()),
              ElementsAre("backward", "gather head", "gather embedding", "release head", "release embedding",
                          "reduce head", "gather layer", "release layer", "reduce layer", "gather embedding",
                          "release embedding", "reduce embedding"));
}

TEST_F(Visits, NothingOfAParameterStaysBetweenVisits) {
  accumulate();
  EXPECT_EQ(device_.ledger().live(Category::parameters), 0u);
  EXPECT_THROW(units_[1].values().data(), Error);
}

TEST_F(Visits, ATiedWeightGetsBothGradientsAndPaddingIsZero) {
  const auto sums = gradients();
  ASSERT_EQ(sums.size(), 3u);
  for (const auto& sum : sums)
    for (std::size_t i = sum.size() - 3; i < sum.size(); ++i) EXPECT_EQ(sum[i], 0);
  float head_only = 0, looked_up = 0;  // row 3 is no token, row 4 is
  for (std::size_t c = 0; c < 4; ++c)
    head_only += std::abs(sums[0][3 * 4 + c]), looked_up += std::abs(sums[0][4 * 4 + c]);
  EXPECT_GT(head_only, 0);
  EXPECT_GT(looked_up, 0);
}

TEST_F(Visits, ADroppedTapeOwesNoGradient) {
  {
    Tape tape;
    const Recording on{&tape};
    forward();
  }
  events_.clear();
  accumulate();
  EXPECT_EQ(std::count(events_.begin(), events_.end(), "reduce embedding"), 1);
}

TEST_F(Visits, EveryUnitReducesEvenIfNoGradientArrives) {
  Tape tape;
  Tensor logits;
  {
    const Recording on{&tape};
    logits = forward();
  }
  events_.clear();
  const Tensor elsewhere = logits.sibling("elsewhere", {1}, DType::float32).fill_zero();
  Tensor other = elsewhere;
  other.set_variable(std::make_shared<Variable>());
  tape.backward(other, elsewhere);
  EXPECT_EQ(std::count_if(events_.begin(), events_.end(), [](const std::string& e) { return e.starts_with("reduce"); }),
            3);
  for (const Tensor& sum : sync_.finish())
    for (const float g : copy(sum)) EXPECT_EQ(g, 0);
}

TEST_F(Visits, AParameterIsReadInsideItsVisitOnly) {
  EXPECT_THROW(layer_.forward(Tensor::zeros(device_, "x", Category::activations, {1, 2, 4}, DType::float32)), Error);
}

TEST_F(Visits, ATapWithinAUnitHasItsGradient) { EXPECT_EQ(slope_through_a_tap(), 6); }

TEST_F(Visits, NobodyIsOfferedWhatNobodyAsksFor) {
  InnerTaps taps;
  EXPECT_EQ(InnerTaps::current(), nullptr);
  EXPECT_THROW(taps.take("unit.h"), Error);
  taps.ask("unit.h");
  EXPECT_THROW(taps.take("unit.h"), Error);
}

class RecomputedVisits : public Visits {
 protected:
  RecomputedVisits() : Visits(plain_, recompute_) {}
  static inline const RecomputeActivations recompute_;
};

TEST_F(RecomputedVisits, HaveTheSameCollectivesInTheSameOrder) {
  accumulate();
  EXPECT_THAT(std::vector(events_.begin() + 8, events_.end()),
              ElementsAre("backward", "gather head", "gather embedding", "release head", "release embedding",
                          "reduce head", "gather layer", "release layer", "reduce layer", "gather embedding",
                          "release embedding", "reduce embedding"));
}

TEST_F(RecomputedVisits, HaveTheGradientOfATapWithinAUnit) { EXPECT_EQ(slope_through_a_tap(), 6); }

// Overlapped ranks may be in their next micro-batch when a unit is computed again.
TEST_F(RecomputedVisits, SeeTheMomentOfTheirForward) {
  std::vector<std::uint64_t> seen;
  Unit unit{"unit", {}, [&](const Tensor& x) {
              seen.push_back(Moment::now().micro_batch);
              return autograd::add(x, x);
            }};
  store_.adopt(unit, seams_);
  Tensor x = Tensor::zeros(device_, "x", Category::activations, {1, 2}, DType::float32);
  x.set_variable(std::make_shared<Variable>());
  Tape tape;
  Tensor y;
  Moment::now() = {.step = 0, .micro_batch = 7};
  {
    const Recording on{&tape};
    y = tranche::forward(unit, x);
  }
  Moment::now() = {.step = 0, .micro_batch = 8};
  tape.backward(y, x.detached());
  EXPECT_THAT(seen, ElementsAre(7u, 7u));
  EXPECT_EQ(Moment::now().micro_batch, 8u);
  Moment::now() = {};
}

class TransformedVisits : public Visits {
 protected:
  TransformedVisits() : Visits(doubled_) {}
  static inline const Doubled doubled_{"layer.weight"};
};

TEST_F(TransformedVisits, KeepNothingOfAWeightsSizeBetweenForwardAndBackward) {
  Tape tape;
  Tensor y;
  const std::size_t before = device_.ledger().live(Category::activations);
  {
    const Recording on{&tape};
    Tensor x = Tensor::zeros(device_, "x", Category::activations, {1, 1, 4}, DType::float32);
    x.set_variable(std::make_shared<Variable>());
    y = tranche::forward(units_[1], x);
  }
  EXPECT_EQ(device_.ledger().live(Category::activations) - before, 2 * y.bytes());  // x and y
}

TEST_F(TransformedVisits, GradientsReachTheStoredWeight) {
  const auto sums = gradients();
  // The same by hand: y = (2 w) x, so dw is twice what a weight of 2 w would get.
  const Owned& owned = store_.owned()[1];
  for (float& w : owned.working.view(0, {16}).span<float>()) w *= 2;
  const Seams untransformed{store_, sync_, plain_, keep_};
  units_[1].place(1, units_[1].values(), untransformed);
  const auto expected = gradients();
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(sums[1][i], 2 * expected[1][i]);
  for (std::size_t i = 16; i < 20; ++i) EXPECT_EQ(sums[1][i], expected[1][i]);
  EXPECT_EQ(sums[0], expected[0]);
}

}  // namespace
}  // namespace tranche
