// Scaling inputs before rounding: the model stays what it is, and no linear loses more than by rounding alone.
#include "compress/input_scaling.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/compress/linear_inputs.h"
#include "tests/runtime/models/placed.h"

namespace tranche::compress {
namespace {

using testing::Placed;

const std::string gpt2 = R"({"model_type": "gpt2", "n_layer": 2, "n_embd": 24, "n_head": 4, "n_inner": 20,
    "n_positions": 16, "vocab_size": 30, "initializer_range": 0.3})",
                  llama = R"({"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 24, "vocab_size": 30,
    "intermediate_size": 20, "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 4, "attention_bias": true,
    "mlp_bias": true, "max_position_embeddings": 16, "initializer_range": 0.3})",
                  factored = R"({"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 24, "vocab_size": 30,
    "intermediate_size": 20, "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 4,
    "max_position_embeddings": 16, "initializer_range": 0.3, "pruned_to": {"blocks.1.attention.heads": 2},
    "low_rank": {"blocks.0.attention.qkv": 9, "blocks.0.mlp.up": 5, "blocks.1.mlp.down": 7,
                 "blocks.1.attention.output": 6}})";

std::vector<float> logits_of(Placed& placed) {
  std::vector<std::vector<std::int32_t>> rows(2, std::vector<std::int32_t>(16));
  for (std::size_t i = 0; i < 32; ++i) rows[i / 16][i % 16] = static_cast<std::int32_t>((i * i + 3) % 30);
  return testing::floats(placed.model->forward(placed.tokens(rows)));
}

// Inputs that differ much from column to column, each linear's its own; those of one channel are alike.
struct Seen {
  InputProducts products;
  InputMagnitudes magnitudes;

  explicit Seen(const std::deque<Unit>& units) {
    std::uint64_t stream = 10;
    for (const Scalable& scalable : scalables_of(units))
      for (const std::string& reader : scalable.readers) {
        const std::size_t in = scalable.channels.size(), tokens = 60;
        Doubles x(tokens * in);
        for (std::size_t i = 0; i < x.size(); ++i)
          x[i] = number(stream, i) * std::exp(3 * number(stream + 1, scalable.channels[i % in]));
        stream += 2;
        products[reader] = products_of(x, in);
        Doubles& means = magnitudes[reader];
        means.resize(in);
        for (std::size_t i = 0; i < x.size(); ++i) means[i % in] += std::fabs(x[i]) / static_cast<double>(tokens);
      }
  }
};

UnitReader values_in(const Placed&) {
  return [](const Unit& unit) { return UnitValues{unit.values().span<const float>(), nullptr}; };
}

class InputScaling : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, InputScaling, ::testing::Values(gpt2, llama, factored));

TEST_P(InputScaling, LeavesWhatTheModelComputes) {
  Placed placed{GetParam()};
  for (const Unit& unit : placed.model->units()) {
    const std::span<float> values = unit.values().span<float>();
    for (std::size_t i = 0; i < unit.size(); ++i) values[i] += 0.2f * static_cast<float>(number(unit.index(), i));
  }
  const Seen seen{placed.model->units()};
  const std::vector<float> before = logits_of(placed);
  const ScaledValues scaled{placed.model->units(), values_in(placed),   seen.products,
                            seen.magnitudes,       Scheme::int4_weight, 32};
  std::size_t changed = 0;
  for (const Unit& unit : placed.model->units()) {
    const UnitValues values = scaled(unit);
    ASSERT_EQ(values.values.size(), unit.values().size());
    const std::span<float> own = unit.values().span<float>();
    for (std::size_t i = 0; i < own.size(); ++i) changed += own[i] != values.values[i] ? 1 : 0;
    std::ranges::copy(values.values, own.begin());
  }
  EXPECT_GT(changed, placed.model->parameters() / 3) << "it does something";
  const std::vector<float> after = logits_of(placed);
  float largest = 0;
  for (const float each : before) largest = std::max(largest, std::fabs(each));
  for (std::size_t i = 0; i < before.size(); ++i) ASSERT_NEAR(after[i], before[i], 2e-5f * largest) << i;
}

TEST(Scalables, AreWhatAModelCanTakeBack) {
  Placed gpt{gpt2}, other{factored};
  const auto names = [](const std::deque<Unit>& units) {
    std::vector<std::string> all;
    for (const Scalable& each : scalables_of(units)) {
      std::string name;
      for (const Scalable::Writer& writer : each.writers) name += str(writer.name, "@", writer.first, " ");
      name += "->";
      for (const std::string& reader : each.readers) name += " " + reader;
      all.push_back(str(name, " ", each.count));
    }
    all.resize(all.size() / 2);  // of the first block
    return all;
  };
  EXPECT_THAT(
      names(gpt.model->units()),
      ::testing::ElementsAre(
          "blocks.0.norm1.gain@0 blocks.0.norm1.bias@0 -> blocks.0.attention.qkv.weight 24",
          "blocks.0.attention.qkv.weight@48 blocks.0.attention.qkv.bias@48 -> blocks.0.attention.output.weight 24",
          "blocks.0.norm2.gain@0 blocks.0.norm2.bias@0 -> blocks.0.mlp.up.weight 24"));
  EXPECT_THAT(
      names(other.model->units()),
      ::testing::ElementsAre("blocks.0.norm1.gain@0 -> blocks.0.attention.qkv.right.weight 24",
                             "blocks.0.attention.qkv.left.weight@36 -> blocks.0.attention.output.weight 12",
                             "blocks.0.norm2.gain@0 -> blocks.0.mlp.gate.weight blocks.0.mlp.up.right.weight 24",
                             "blocks.0.mlp.up.left.weight@0 -> blocks.0.mlp.down.weight 20"));
}

TEST(OutputError, IsWhatTheTokensOutputsLose) {
  const std::size_t out = 5, in = 32;
  const Floats weights = weights_of(out * in);
  const Doubles x = inputs_of(40, in);
  const PackedTensor tensor = quantize_weight("w", {out, in}, weights, {TensorForm::int4, 32});
  Floats rounded(weights.size());
  for (std::size_t i = 0; i < rounded.size(); ++i)
    rounded[i] = static_cast<float>(tensor.level(i / in, i % in)) * tensor.scales[i / in];
  const double expected = loss_of(tensor, weights, x) * 40 * out;
  EXPECT_NEAR(output_error(rounded, weights, in, products_of(x, in)), expected, 1e-6 * expected);
}

// All factors are 1 where alpha is 0, which is tried: so the best is no worse, and where a few inputs are large,
// better.
TEST(BestFactors, LoseLessOfTheOutputsThanRoundingToNearest) {
  const std::size_t out = 16, in = 64, tokens = 200;
  const Floats weights = weights_of(out * in);
  const Scalable scalable{.readers = {"w"},
                          .channels =
                              [] {
                                std::vector<std::size_t> own(64);
                                for (std::size_t i = 0; i < own.size(); ++i) own[i] = i;
                                return own;
                              }(),
                          .count = in};
  for (const TensorForm form : {TensorForm::int4, TensorForm::int2})
    for (const double large : {1.0, 30.0}) {
      Doubles x = inputs_of(tokens, in), magnitudes(in);
      for (std::size_t at = 3; at < x.size(); at += 16) x[at] *= large;
      for (std::size_t i = 0; i < x.size(); ++i) magnitudes[i % in] += std::fabs(x[i]) / static_cast<double>(tokens);
      const Doubles products = products_of(x, in);
      const Plan plan{form, 32};
      const auto error = [&](const std::vector<float>& factors) {
        Floats scaled = weights;
        for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] *= factors[i % in];
        const PackedTensor tensor = quantize_weight("w", {out, in}, scaled, plan);
        for (std::size_t i = 0; i < scaled.size(); ++i)
          scaled[i] = static_cast<float>(tensor.level(i / in, i % in)) * tensor.scales[i / in * 2 + i % in / 32] /
                      factors[i % in];
        return output_error(scaled, weights, in, products);
      };
      const std::vector<float> factors =
          best_factors(scalable, {{"w", {out, in}, weights, products, plan}}, magnitudes);
      const double nearest = error(std::vector<float>(in, 1.0f));
      EXPECT_LE(error(factors), nearest) << name_of(form) << " " << large;
      if (large > 1) {
        EXPECT_LT(error(factors), 0.8 * nearest) << name_of(form);
      }
    }
}

}  // namespace
}  // namespace tranche::compress
