// Logits, loss and gradients agree with PyTorch: fixtures/make_fixtures.py made the numbers, in float64.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "runtime/ops/elementwise.h"
#include "tests/runtime/models/placed.h"

namespace tranche {
namespace {

class Fixture {
 public:
  explicit Fixture(const std::string& name) {
    const std::string base = "tests/runtime/models/fixtures/" + name;
    header_ = read_json(base + ".json", Exit::data);
    std::ifstream file{base + ".bin", std::ios::binary};
    bytes_.assign(std::istreambuf_iterator<char>{file}, {});
  }

  std::string config() const { return header_["config"].dump(); }
  std::vector<std::vector<std::int32_t>> rows(const char* name) const { return header_[name]; }
  double loss() const { return header_["loss"]; }
  std::size_t size() const { return header_["tensors"].size(); }

  // Elements as T, with the shape checked.
  template <class T> std::vector<T> tensor(const std::string& name, const Shape& shape) const {
    const Json& place = header_["tensors"].at(name);
    const std::vector<std::size_t> sizes = place["shape"];
    EXPECT_EQ(Shape{std::span<const std::size_t>{sizes}}, shape) << name;
    std::vector<T> values(shape.size());
    std::memcpy(values.data(), bytes_.data() + place["offset"].get<std::size_t>(), values.size() * sizeof(T));
    return values;
  }

  void load_into(testing::Placed& placed) const {
    placed.for_each([&](const Owned& owned, const Parameter& parameter) {
      const std::vector<float16> values = tensor<float16>(parameter.name, parameter.shape);
      const std::span<float> master =
          placed.placement.borrow(0, owned.unit->index()).view(parameter.offset, parameter.shape).span<float>();
      std::transform(values.begin(), values.end(), master.begin(), [](float16 v) { return to_float(v); });
    });
    placed.placement.round();
  }

 private:
  Json header_;
  std::vector<char> bytes_;
};

// The largest difference, relative to the largest expected magnitude.
double distance(std::span<const float> found, std::span<const float> expected) {
  EXPECT_EQ(found.size(), expected.size());
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double d = std::abs(static_cast<double>(found[i]) - expected[i]);
    difference = std::isnan(d) ? INFINITY : std::max(difference, d);
    largest = std::max<double>(largest, std::abs(expected[i]));
  }
  return difference / largest;
}

// Bounds of `distance`. float32: sums of some hundred products in another order. Half precision: each operation rounds,
// and the blocks amplify it; PyTorch's own bfloat16 logits are 0.048 away from its float64 ones for `llama`.
struct Bounds {
  DType dtype;
  double logits, loss, gradients;
};

struct Case {
  const char* fixture;
  bool recomputing;
  Bounds bounds;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.fixture << ' ' << name_of(c.bounds.dtype) << (c.recomputing ? " recomputing" : "");
}

class Parity : public ::testing::TestWithParam<Case> {};

TEST_P(Parity, LogitsLossAndGradientsAgreeWithPyTorch) {
  const auto& [name, recomputing, bounds] = GetParam();
  const Fixture fixture{name};
  testing::Placed placed{fixture.config(), bounds.dtype, recomputing};
  fixture.load_into(placed);
  const Tensor tokens = placed.tokens(fixture.rows("tokens")), targets = placed.tokens(fixture.rows("targets"));

  const Tensor logits = placed.model->forward(tokens);
  EXPECT_LT(distance(testing::floats(logits), fixture.tensor<float>("logits", logits.shape())), bounds.logits);

  const float scale = is_half(bounds.dtype) ? 1024.0f : 1.0f;  // or small gradients vanish in float16
  const float loss = placed.accumulate(tokens, targets, scale);
  EXPECT_NEAR(loss, fixture.loss(), bounds.loss * fixture.loss());

  const Shards gradients = placed.sync.finish();
  std::size_t compared = 0;
  placed.for_each([&](const Owned& owned, const Parameter& parameter) {
    const Tensor gradient = gradients[owned.unit->index()].view(parameter.offset, parameter.shape);
    ops::scale(gradient, 1 / scale);
    const std::vector<float> expected = fixture.tensor<float>("gradients." + parameter.name, parameter.shape);
    EXPECT_LT(distance(gradient.span<float>(), expected), bounds.gradients) << parameter.name;
    ++compared;
  });
  EXPECT_EQ(2 * compared + 1, fixture.size());  // no tensor of the fixture was left out
}

constexpr Bounds single{DType::float32, 2e-6, 1e-6, 5e-6};
constexpr Bounds half{DType::float16, 5e-3, 2e-4, 1.2e-2};
constexpr Bounds brain{DType::bfloat16, 4.5e-2, 2e-3, 1.1e-1};

INSTANTIATE_TEST_SUITE_P(Float32, Parity,
                         ::testing::Values(Case{"gpt2", false, single}, Case{"gpt2_untied", false, single},
                                           Case{"llama", false, single}, Case{"llama_tied", false, single},
                                           Case{"gpt2", true, single}, Case{"llama_tied", true, single}));
INSTANTIATE_TEST_SUITE_P(Half, Parity,
                         ::testing::Values(Case{"gpt2", false, half}, Case{"llama", false, half},
                                           Case{"gpt2", false, brain}, Case{"llama", false, brain}));

TEST(Parity, ASequenceLongerThanThePositionsIsRefused) {
  const Fixture fixture{"gpt2"};
  testing::Placed placed{fixture.config()};
  try {
    placed.model->forward(placed.tokens({std::vector<std::int32_t>(17, 1)}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::job_file);
    EXPECT_NE(std::string{error.what()}.find("17 tokens is longer than the model's 16 positions"), std::string::npos);
  }
}

}  // namespace
}  // namespace tranche
