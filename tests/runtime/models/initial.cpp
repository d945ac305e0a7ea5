// Initial parameters follow the rules of transformers, element by element from keys.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/runtime/models/placed.h"

namespace tranche {
namespace {

struct Statistics {
  double mean = 0, deviation = 0, least = 0, most = 0;
};

Statistics statistics(std::span<const float> values) {
  Statistics result{0, 0, values[0], values[0]};
  for (const float v : values) {
    result.mean += v / static_cast<double>(values.size());
    result.least = std::min<double>(result.least, v);
    result.most = std::max<double>(result.most, v);
  }
  for (const float v : values)
    result.deviation += (v - result.mean) * (v - result.mean) / static_cast<double>(values.size());
  result.deviation = std::sqrt(result.deviation);
  return result;
}

bool ends_with(const std::string& name, const std::string& end) {
  return name.size() >= end.size() && name.ends_with(end);
}

void expect_rules(testing::Placed& placed, double deviation, double residual_deviation) {
  placed.for_each([&](const Owned& owned, const Parameter& parameter) {
    const Tensor values = owned.working.view(parameter.offset, parameter.shape);
    const Statistics s = statistics(values.span<float>());
    if (parameter.shape.dimensions() == 1) {
      const double constant = ends_with(parameter.name, ".gain") ? 1 : 0;
      EXPECT_EQ(s.least, constant) << parameter.name;
      EXPECT_EQ(s.most, constant) << parameter.name;
      return;
    }
    const bool residual =
        ends_with(parameter.name, "attention.output.weight") || ends_with(parameter.name, "mlp.down.weight");
    const double expected = residual ? residual_deviation : deviation;
    const double n = static_cast<double>(values.size());
    EXPECT_NEAR(s.mean, 0, 5 * expected / std::sqrt(n)) << parameter.name;  // five standard errors
    EXPECT_NEAR(s.deviation, expected, 5 * expected / std::sqrt(2 * n)) << parameter.name;
  });
}

TEST(Initial, GptTwoScalesProjectionsIntoTheResidualStream) {
  testing::Placed placed{R"({"model_type": "gpt2", "n_layer": 3, "n_embd": 64, "n_head": 2, "n_positions": 32,
                             "vocab_size": 100, "initializer_range": 0.05})"};
  expect_rules(placed, 0.05, 0.05 / std::sqrt(6));
}

TEST(Initial, LlamaDoesNot) {
  testing::Placed placed{R"({"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96,
                             "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
                             "attention_bias": true})"};
  expect_rules(placed, 0.02, 0.02);
}

TEST(Initial, DependsOnTheSeedAndOnNoOtherParameter) {
  const std::string rest = R"("n_embd": 32, "n_head": 2, "n_positions": 8, "vocab_size": 50})";
  testing::Placed one{R"({"model_type": "gpt2", "n_layer": 1, )" + rest};
  testing::Placed two{R"({"model_type": "gpt2", "n_layer": 2, "tie_word_embeddings": false, )" + rest};
  testing::Placed other{R"({"model_type": "gpt2", "n_layer": 1, )" + rest, DType::float32, false, 2};
  const auto table = [](testing::Placed& placed) { return testing::floats(placed.store.owned()[0].working); };
  EXPECT_EQ(table(one), table(two));
  EXPECT_NE(table(one), table(other));
}

}  // namespace
}  // namespace tranche
