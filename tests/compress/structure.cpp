// Models without some of their heads, neurons and blocks.
#include "compress/structure.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "compress/importance.h"
#include "compress/shapley.h"
#include "runtime/data/byte_tokenizer.h"
#include "runtime/data/token_file.h"
#include "runtime/train/evaluate.h"
#include "tests/runtime/models/placed.h"
#include "tests/support/temporary_folder.h"

namespace tranche::compress {
namespace {

using ::testing::ElementsAre;
using testing::Placed;
using ::testing::UnorderedElementsAre;

const Json gpt2 = Json::parse(R"({"model_type": "gpt2", "n_layer": 3, "n_embd": 24, "n_head": 4, "n_inner": 20,
    "n_positions": 16, "vocab_size": 30, "initializer_range": 0.3, "resid_pdrop": 0, "attn_pdrop": 0, "embd_pdrop": 0})"),
           llama = Json::parse(R"({"model_type": "llama", "num_hidden_layers": 3, "hidden_size": 24, "vocab_size": 30,
    "intermediate_size": 20, "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 4,
    "max_position_embeddings": 16, "initializer_range": 0.3})");

// Biases and gains of their own, so that a wrong one would be seen.
void fill(Placed& placed) {
  for (const Unit& unit : placed.model->units()) {
    const std::span<float> values = unit.values().span<float>();
    for (std::size_t i = 0; i < unit.size(); ++i)
      values[i] += 0.1f * (uniform(RandomKey{7, Purpose::order}(unit.index()).number(i)) - 0.5f);
  }
}

std::vector<float> logits_of(Placed& placed) {
  std::vector<std::vector<std::int32_t>> rows(2, std::vector<std::int32_t>(16));
  for (std::size_t i = 0; i < 32; ++i) rows[i / 16][i % 16] = static_cast<std::int32_t>((i * i + 3) % 30);
  return testing::floats(placed.model->forward(placed.tokens(rows)));
}

std::map<std::string, const Parameter*> by_name(Placed& placed) {
  std::map<std::string, const Parameter*> all;
  placed.for_each([&](const Owned&, const Parameter& each) { all[each.name] = &each; });
  return all;
}

// The model that is left, with the values that are left.
std::unique_ptr<Placed> smaller_of(Placed& whole, const Json& config, const Cut& cut) {
  const Json left = cut_model(config, whole.model->config(), dependencies_of(whole.model->units()), cut);
  auto small = std::make_unique<Placed>(left.dump());
  const auto old = by_name(whole);
  small->for_each([&](const Owned&, const Parameter& each) {
    const Parameter& before = *old.at(cut.name_before(each.name));
    const std::vector<float> values = values_left(before, before.value.span<float>(), cut);
    ASSERT_EQ(values.size(), each.shape.size()) << each.name;
    std::ranges::copy(values, each.value.span<float>().begin());
  });
  return small;
}

// What the next linear reads of what is gone becomes zero, and all that a block adds.
void mask(Placed& whole, const Cut& cut) {
  for (const auto& [name, dependents] : dependencies_of(whole.model->units())) {
    const auto left = cut.features.find(name);
    if (left == cut.features.end()) continue;
    for (const Place& place : dependents.places) {
      if (place.dimension != 1) continue;
      const std::span<float> values = place.parameter->value.span<float>();
      for_each_element(place, [&](std::size_t feature, std::size_t element) {
        if (!std::ranges::binary_search(left->second, feature)) values[element] = 0;
      });
    }
  }
  whole.for_each([&](const Owned&, const Parameter& each) {
    const bool adds =
        each.name.find("attention.output") != std::string::npos || each.name.find("mlp.down") != std::string::npos;
    if (adds && !cut.name_after(each.name)) std::ranges::fill(each.value.span<float>(), 0.0f);
  });
}

class Structure : public ::testing::TestWithParam<Json> {};
INSTANTIATE_TEST_SUITE_P(Models, Structure, ::testing::Values(gpt2, llama),
                         [](const auto& test) { return test.param.at("model_type").template get<std::string>(); });

TEST_P(Structure, TheSmallerModelComputesWhatTheMaskedOneDoes) {
  const Cut cut{.blocks = {0, 2},
                .features = {{"blocks.0.attention.heads", {0, 2}},
                             {"blocks.2.attention.heads", {1}},
                             {"blocks.0.mlp.neurons", {0, 1, 5, 6, 7, 19}},
                             {"blocks.2.mlp.neurons", {3, 4, 11}}}};
  Placed whole{GetParam().dump()};
  fill(whole);
  const std::vector<float> before = logits_of(whole);
  const std::unique_ptr<Placed> small = smaller_of(whole, GetParam(), cut);
  mask(whole, cut);
  const std::vector<float> masked = logits_of(whole), left = logits_of(*small);
  float largest = 0, change = 0;
  for (std::size_t i = 0; i < masked.size(); ++i) {
    largest = std::max(largest, std::abs(masked[i]));
    change = std::max(change, std::abs(masked[i] - before[i]));
  }
  EXPECT_GT(change, 0.1f * largest) << "the mask does something";
  for (std::size_t i = 0; i < masked.size(); ++i) ASSERT_NEAR(left[i], masked[i], 1e-5f * largest) << i;
  EXPECT_LT(small->model->parameters(), whole.model->parameters());
  EXPECT_LT(small->model->flops_per_token(16), whole.model->flops_per_token(16));
}

TEST_P(Structure, APrunedModelIsPrunedOnWithItsLowRankLinears) {
  Json config = GetParam();
  config["low_rank"] = {{"blocks.2.attention.qkv", 5}, {"blocks.2.attention.output", 3}, {"blocks.1.mlp.down", 2}};
  config["pruned_to"] = {{"blocks.2.attention.heads", 2}, {"blocks.1.mlp.neurons", 9}};
  Placed whole{config.dump()};
  fill(whole);
  const Cut cut{.blocks = {1, 2}, .features = {{"blocks.2.attention.heads", {1}}, {"blocks.1.mlp.neurons", {2, 4, 8}}}};
  const std::unique_ptr<Placed> small = smaller_of(whole, config, cut);
  mask(whole, cut);
  const std::vector<float> masked = logits_of(whole), left = logits_of(*small);
  for (std::size_t i = 0; i < masked.size(); ++i) ASSERT_NEAR(left[i], masked[i], 1e-4f) << i;
  EXPECT_EQ(small->model->config().settings["low_rank"].dump(),
            R"({"blocks.0.mlp.down":2,"blocks.1.attention.output":3,"blocks.1.attention.qkv":5})");
  EXPECT_EQ(small->model->config().settings["pruned_to"].dump(),
            R"({"blocks.0.mlp.neurons":3,"blocks.1.attention.heads":1})");
}

// Found from what parameters say of their dimensions.
TEST(Dependencies, AreEverythingThatMustShrinkTogether) {
  Placed placed{llama.dump()};
  const Dependencies all = dependencies_of(placed.model->units());
  const auto places = [&](const std::string& name) {
    std::vector<std::string> found;
    for (const Place& each : all.at(name).places) found.push_back(str(each.parameter->name, " ", each.dimension));
    return found;
  };
  EXPECT_THAT(places("blocks.1.attention.heads"),
              ElementsAre("blocks.1.attention.qkv.weight 0", "blocks.1.attention.output.weight 1"));
  EXPECT_EQ(all.at("blocks.1.attention.heads").count, 3u);  // as many as there are keys and values
  EXPECT_THAT(
      places("blocks.1.mlp.neurons"),
      UnorderedElementsAre("blocks.1.mlp.gate.weight 0", "blocks.1.mlp.up.weight 0", "blocks.1.mlp.down.weight 1"));
  EXPECT_EQ(places("stream").size(), 1 + 3 * 7 + 1 + 1u);  // embedding, blocks, the last norm, the head
  EXPECT_EQ(all.at("stream").count, 24u);
  EXPECT_THAT(places("tokens"), ElementsAre("embedding.weight 0", "head.weight 0"));

  Placed biased{gpt2.dump()};
  EXPECT_EQ(dependencies_of(biased.model->units()).at("blocks.0.attention.heads").places.size(), 3u);  // a bias too
}

TEST(Cut, TheBestStay) {
  Placed placed{gpt2.dump()};
  const Dependencies dependencies = dependencies_of(placed.model->units());
  Scores scores{{"blocks", {1, 3, 2}}};
  for (const auto& [name, each] : dependencies) scores[name] = std::vector<double>(each.count, 0.5);
  scores["blocks.0.attention.heads"] = {9, 1, 9, 9};
  scores["blocks.1.attention.heads"] = {1, 2, 4, 3};
  scores["blocks.2.attention.heads"] = {5, 6, 7, 8};
  const Cut in_each = choose_cut(dependencies, 3, scores, {.heads = 0.5, .neurons = 0.1, .blocks = 0.6});
  EXPECT_THAT(in_each.blocks, ElementsAre(1, 2));
  EXPECT_THAT(in_each.features.at("blocks.1.attention.heads"), ElementsAre(2, 3));
  EXPECT_THAT(in_each.features.at("blocks.2.attention.heads"), ElementsAre(2, 3));
  EXPECT_THAT(in_each.features.at("blocks.1.mlp.neurons"), ElementsAre(0, 1));  // of equal ones the first
  EXPECT_FALSE(in_each.features.contains("blocks.0.attention.heads"));

  const Cut together = choose_cut(dependencies, 3, scores, {.heads = 0.5, .scope = Scope::model});
  EXPECT_THAT(together.features.at("blocks.0.attention.heads"), ElementsAre(0, 2, 3));
  EXPECT_THAT(together.features.at("blocks.1.attention.heads"), ElementsAre(2));  // one at least
  EXPECT_THAT(together.features.at("blocks.2.attention.heads"), ElementsAre(2, 3));
  EXPECT_THAT(choose_cut(dependencies, 3, scores, {.blocks = 0.01}).blocks, ElementsAre(1));

  scores["blocks.1.attention.heads"][2] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(choose_cut(dependencies, 3, scores, {.heads = 0.5}), Error);
}

TEST(Cut, BlocksThatKnowTheirNumberStay) {
  Json config = gpt2;
  config["scale_attn_by_inverse_layer_idx"] = true;
  Placed placed{config.dump()};
  const Dependencies dependencies = dependencies_of(placed.model->units());
  EXPECT_THROW(cut_model(config, placed.model->config(), dependencies, {.blocks = {0, 1}}), Error);
  cut_model(config, placed.model->config(), dependencies, {.blocks = {0, 1, 2}});
}

class Importances : public ::testing::Test {
 protected:
  Importances() {
    std::vector<Token> text;
    for (int i = 0; i < 200; ++i) text.push_back((i * i + 3) % 30);
    const ByteTokenizer tokenizer;
    TokenFileWriter writer{folder.path() / "tokens.h5", tokenizer};
    writer.begin_document();
    writer.append(text);
    writer.finish({});
    file.emplace(folder.path() / "tokens.h5");
  }
  Windows windows(std::uint64_t samples) const { return {*file, 4, 16, samples}; }
  // Of `samples`, in micro-batches of four.
  double loss_of(Placed& shown, std::uint64_t samples) const {
    const std::unique_ptr<Communicator> alone = tranche::alone();
    return evaluate(*shown.model, Objective{}, *file, 4, 16, samples, *alone, shown.device).loss;
  }
  // With what the next linear reads of a feature, or what a block adds, times `factor`.
  void scale(Placed& shown, const std::string& features, std::size_t number, float factor) const {
    for (const auto& [name, dependents] : dependencies_of(shown.model->units()))
      for (const Place& place : dependents.places) {
        const std::string& parameter = place.parameter->name;
        const std::span<float> values = place.parameter->value.span<float>();
        if (name == features && place.dimension == 1)
          for_each_element(place, [&](std::size_t feature, std::size_t element) {
            if (feature == number) values[element] *= factor;
          });
        const bool of_block = parameter.starts_with(str("blocks.", number, ".")) && place.dimension == 0 &&
                              name == "stream" && parameter.ends_with("weight");
        if (features == blocks_name && of_block)
          for (float& value : values) value *= factor;
      }
  }

  testing::TemporaryFolder folder;
  std::optional<TokenFile> file;
  const std::string model = [] {
    Json config = llama;
    config["vocab_size"] = 256;
    return config.dump();
  }();
  Placed placed{model};
};

// Against a finite difference of the loss: what the first-order term says it is.
TEST_F(Importances, TaylorScoresAreTheLossesSlope) {
  TaylorScores taylor;
  Seams seams{placed.store, taylor, placed.weights, placed.keep};
  for (const Owned& owned : placed.store.owned()) owned.unit->place(owned.unit->index(), owned.working, seams);
  const Scores scores = taylor.show(*placed.model, windows(4), placed.device);
  EXPECT_EQ(scores.size(), 2 * 3 + 1u);
  const float step = 0.02f;
  for (const auto& [name, number] : {std::pair{"blocks.1.attention.heads", 2},
                                     {"blocks.2.attention.heads", 0},
                                     {"blocks.0.mlp.neurons", 7},
                                     {"blocks.2.mlp.neurons", 19},
                                     {"blocks", 1}}) {
    const auto loss_with = [&](float factor) {
      Placed changed{model};
      scale(changed, name, static_cast<std::size_t>(number), factor);
      return loss_of(changed, 4);
    };
    const double slope = std::abs(loss_with(1 + step) - loss_with(1 - step)) / (2 * double{step});
    EXPECT_NEAR(scores.at(name)[static_cast<std::size_t>(number)], slope, 0.02 * slope + 2e-5) << name;
  }
  EXPECT_EQ(taylor.show(*placed.model, windows(4), placed.device), scores) << "again, the same bits";
  EXPECT_NE(taylor.show(*placed.model, windows(12), placed.device), scores);
}

TEST_F(Importances, ActivationScoresAreWhatIsAdded) {
  ActivationScores activation;
  WatchedLinears linears;
  const auto scores_of = [&](Placed& shown) {
    Seams seams{shown.store, shown.sync, shown.weights, activation, linears};
    for (const Owned& owned : shown.store.owned()) owned.unit->place(owned.unit->index(), owned.working, seams);
    return activation.show(*shown.model, linears, windows(6), shown.device);
  };
  scale(placed, "blocks.1.mlp.neurons", 3, 2);
  scale(placed, "blocks.2.attention.heads", 1, 0);
  scale(placed, "blocks", 0, 0);
  Placed before{model};
  scale(before, "blocks", 0, 0);
  const Scores scores = scores_of(placed), first = scores_of(before);
  EXPECT_NEAR(scores.at("blocks.1.mlp.neurons")[3], 2 * first.at("blocks.1.mlp.neurons")[3], 1e-6);
  EXPECT_EQ(scores.at("blocks.1.mlp.neurons")[4], first.at("blocks.1.mlp.neurons")[4]);
  EXPECT_EQ(scores.at("blocks.2.attention.heads")[1], 0);
  EXPECT_GT(scores.at("blocks.2.attention.heads")[0], 0);
  EXPECT_NEAR(scores.at("blocks")[0], 0, 1e-12);
  EXPECT_GT(scores.at("blocks")[1], 1e-3);
}

// They share out what all of them do together, whatever the orders; what does nothing has no share.
TEST_F(Importances, ShapleyValuesShareOutTheLoss) {
  scale(placed, "blocks.1.attention.heads", 2, 0);
  Players players{3, 4};
  Seams seams{placed.store, placed.sync, placed.weights, players};
  for (const Owned& owned : placed.store.owned()) owned.unit->place(owned.unit->index(), owned.working, seams);
  const auto loss = [&] { return loss_of(placed, 6); };
  const std::vector<float> logits = logits_of(placed);
  const Scores heads = players.of_heads(*placed.model, loss), blocks = players.of_blocks(*placed.model, loss);
  EXPECT_EQ(logits_of(placed), logits) << "the model is as it was";
  EXPECT_EQ(players.of_heads(*placed.model, loss), heads) << "again, the same bits";
  EXPECT_NE(Players(4, 4).of_heads(*placed.model, loss), heads);

  const auto sum_of = [](const Scores& scores) {
    double sum = 0;
    for (const auto& [name, score] : scores) sum = std::accumulate(score.begin(), score.end(), sum);
    return sum;
  };
  const double whole = loss();
  Placed headless{model}, empty{model};
  for (const char* name : {"blocks.0.attention.heads", "blocks.1.attention.heads", "blocks.2.attention.heads"})
    for (std::size_t i = 0; i < 3; ++i) scale(headless, name, i, 0);
  for (std::size_t i = 0; i < 3; ++i) scale(empty, "blocks", i, 0);
  EXPECT_NEAR(sum_of(heads), loss_of(headless, 6) - whole, 1e-6);
  EXPECT_NEAR(sum_of(blocks), loss_of(empty, 6) - whole, 1e-6);
  EXPECT_EQ(heads.at("blocks.1.attention.heads")[2], 0);
  EXPECT_NE(heads.at("blocks.1.attention.heads")[1], 0);
}

TEST_F(Importances, NormsAreOfAllThatGoesWithAFeature) {
  const UnitReader values_of = [](const Unit& unit) { return UnitValues{unit.values().span<float>(), {}}; };
  const auto norms = [&] { return scores_by_norm(Importance::l1, placed.model->units(), values_of); };
  const double before = norms().at("blocks.0.mlp.neurons")[5];
  const auto parameters = by_name(placed);
  double sum = 0;
  for (std::size_t i = 0; i < 24; ++i) {
    for (const char* rows : {"gate", "up"})
      sum += std::abs(double{parameters.at(str("blocks.0.mlp.", rows, ".weight"))->value.span<float>()[5 * 24 + i]});
    sum += std::abs(double{parameters.at("blocks.0.mlp.down.weight")->value.span<float>()[i * 20 + 5]});
  }
  EXPECT_NEAR(before, sum, 1e-9);
  const Scores squares = scores_by_norm(Importance::l2, placed.model->units(), values_of);
  EXPECT_LT(squares.at("blocks.0.mlp.neurons")[5], before);
  EXPECT_EQ(squares.at("blocks").size(), 3u);
}

TEST_F(Importances, RandomOnesAreOfTheSeedAndTheNameAlone) {
  const auto scores = [&](std::uint64_t seed) { return scores_at_random(seed, placed.model->units()); };
  EXPECT_EQ(scores(1), scores(1));
  EXPECT_NE(scores(1), scores(2));
  EXPECT_NE(scores(1).at("blocks.0.mlp.neurons"), scores(1).at("blocks.1.mlp.neurons"));
  EXPECT_EQ(scores(1).at("blocks").size(), 3u);
}

}  // namespace
}  // namespace tranche::compress
