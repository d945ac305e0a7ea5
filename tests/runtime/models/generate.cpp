#include "runtime/models/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "tests/runtime/models/placed.h"

namespace tranche {
namespace {

using ::testing::ElementsAre;

const std::vector<float> logits{1.0f, 3.0f, 2.0f, 3.0f, -INFINITY};  // two equal ones

// How often each token is chosen over an even grid of numbers.
std::map<std::int32_t, int> counts(const Sampling& sampling) {
  std::map<std::int32_t, int> result;
  for (int i = 0; i < 1000; ++i) ++result[choose(logits, sampling, (static_cast<float>(i) + 0.5f) / 1000)];
  return result;
}

std::vector<std::int32_t> chosen(const Sampling& sampling) {
  std::vector<std::int32_t> tokens;
  for (const auto& [token, count] : counts(sampling)) tokens.push_back(token);
  return tokens;
}

TEST(Choose, FrequenciesAreTheSoftmaxOfTheLogits) {
  for (const float temperature : {1.0f, 0.5f, 3.0f}) {
    double total = 0;
    for (const float logit : logits) total += std::exp(logit / temperature);
    auto seen = counts({.temperature = temperature});
    for (std::size_t token = 0; token < logits.size(); ++token)
      EXPECT_NEAR(seen[static_cast<std::int32_t>(token)], 1000 * std::exp(logits[token] / temperature) / total, 1.01);
  }
}

TEST(Choose, WithoutTemperatureTakesTheFirstOfTheMostProbable) {
  EXPECT_THAT(chosen({.temperature = 0}), ElementsAre(1));
  EXPECT_THAT(chosen({.temperature = 1e-30f}), ElementsAre(1, 3));
}

TEST(Choose, FiltersKeepTheMostProbable) {
  EXPECT_THAT(chosen({.top_k = 1}), ElementsAre(1));
  EXPECT_THAT(chosen({.top_k = 3}), ElementsAre(1, 2, 3));
  EXPECT_THAT(chosen({.top_k = 100}), ElementsAre(0, 1, 2, 3));
  // The probabilities are 0.40, 0.40, 0.15, 0.05.
  EXPECT_THAT(chosen({.top_p = 1e-6f}), ElementsAre(1));
  EXPECT_THAT(chosen({.top_p = 0.7f}), ElementsAre(1, 3));
  EXPECT_THAT(chosen({.top_p = 0.85f}), ElementsAre(1, 2, 3));
  EXPECT_THAT(chosen({.top_k = 2, .top_p = 0.6f}), ElementsAre(1, 3));
}

TEST(Choose, SettingsOutOfRangeAndLogitsThatAreNotFiniteAreRefused) {
  for (const Sampling& wrong : {Sampling{.temperature = -1}, Sampling{.temperature = NAN}, Sampling{.top_p = 0},
                                Sampling{.top_p = 1.5f}, Sampling{.top_p = NAN}}) {
    try {
      choose(logits, wrong, 0.5f);
      ADD_FAILURE() << wrong.temperature << ' ' << wrong.top_p;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::usage);
    }
  }
  for (const std::vector<float>& wrong :
       {std::vector{0.0f, NAN}, std::vector{0.0f, INFINITY}, std::vector{-INFINITY}, {}}) {
    try {
      choose(wrong, {.temperature = 0}, 0.5f);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::numerics);
    }
  }
}

// Says which token follows: the sum of the window, modulo 10.
std::vector<float> sum_of_window(std::span<const std::int32_t> window) {
  std::vector<float> result(10, -10.0f);
  std::int32_t sum = 0;
  for (const std::int32_t token : window) sum += token;
  result[static_cast<std::size_t>(sum % 10)] = 10;
  return result;
}

TEST(Generate, SeesNoMoreThanTheModelsPositions) {
  EXPECT_THAT(generate({1, 2}, 5, 3, {.temperature = 0}, 0, sum_of_window), ElementsAre(1, 2, 3, 6, 1, 0, 7));
}

TEST(Generate, StopsWhenTold) {
  std::vector<std::int32_t> seen;
  const auto until_six = [&](std::int32_t token) {
    seen.push_back(token);
    return token != 6;
  };
  EXPECT_THAT(generate({1, 2}, 5, 3, {.temperature = 0}, 0, sum_of_window, until_six), ElementsAre(1, 2, 3, 6));
  EXPECT_THAT(seen, ElementsAre(3, 6));
  EXPECT_THROW(generate({}, 5, 3, {}, 0, sum_of_window), Error);
}

TEST(Generate, ASampleDependsOnSeedAndNumberAlone) {
  const NextLogits flat = [](auto) { return std::vector<float>(100, 0.0f); };
  const auto sample = [&](std::uint64_t seed, std::uint64_t number) {
    return generate({0}, 20, 8, {.seed = seed}, number, flat);
  };
  EXPECT_EQ(sample(1, 0), sample(1, 0));
  EXPECT_NE(sample(1, 0), sample(1, 1));
  EXPECT_NE(sample(1, 0), sample(2, 0));
}

TEST(Generate, EveryPositionHasItsOwnNumber) {
  const NextLogits flat = [](auto) { return std::vector<float>(100, 0.0f); };
  const std::vector<std::int32_t> text = generate({0}, 30, 8, {}, 0, flat);
  EXPECT_GT(std::set(text.begin(), text.end()).size(), 15u);
  EXPECT_EQ(generate({text.begin(), text.begin() + 10}, 21, 8, {}, 0, flat), text);  // in pieces too
}

TEST(Generate, ContinuesWhatTheModelSawWithoutDropout) {
  testing::Placed placed{R"({"model_type": "gpt2", "n_layer": 1, "n_embd": 16, "n_head": 2, "n_positions": 8,
                             "vocab_size": 11, "resid_pdrop": 0.9, "initializer_range": 0.5})"};
  placed.model->set_training(true);
  const NextLogits next = next_logits(*placed.model, placed.device);
  const auto once = generate({1, 2, 3}, 12, placed.model->config().positions, {.temperature = 0}, 0, next);
  EXPECT_TRUE(placed.model->training());
  EXPECT_EQ(once, generate({1, 2, 3}, 12, 8, {.temperature = 0}, 0, next));
  placed.model->set_training(false);
  const Tensor logits_of_all = placed.model->forward(placed.tokens({{once.begin(), once.begin() + 8}}));
  const std::vector<float> all = testing::floats(logits_of_all);
  EXPECT_EQ(once[8], std::max_element(all.end() - 11, all.end()) - (all.end() - 11));
}

// A text that grows token by token, is cut at the window's end, and is followed by another one.
void expect_logits_of_the_whole_window(const std::string& config) {
  testing::Placed placed{config};
  const NextLogits kept = next_logits(*placed.model, placed.device);
  const std::vector<std::int32_t> text{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7};
  const auto compare = [&](std::span<const std::int32_t> window) {
    const std::vector<float> got = kept(window), whole = next_logits(*placed.model, placed.device)(window);
    ASSERT_EQ(got.size(), whole.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], whole[i], 1e-5 * std::fabs(whole[i]) + 2e-6) << i;
  };
  const std::span<const std::int32_t> all{text};
  for (const std::size_t length : {4u, 5u, 6u, 9u, 10u}) compare(all.first(length));
  compare(all.subspan(1, 10));
  compare(all.subspan(4, 3));
  compare(all.subspan(4, 4));
  EXPECT_THROW(kept(all), Error);  // longer than the model's positions
  compare(all.subspan(4, 5));
}

TEST(NextLogits, OfATextThatGrowsAreThoseOfTheWholeWindow) {
  expect_logits_of_the_whole_window(R"({"model_type": "gpt2", "n_layer": 2, "n_embd": 48, "n_head": 3,
      "n_positions": 10, "vocab_size": 11, "initializer_range": 0.3})");
  expect_logits_of_the_whole_window(R"({"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 40,
      "intermediate_size": 56, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 10,
      "vocab_size": 11, "initializer_range": 0.3})");
}

}  // namespace
}  // namespace tranche
