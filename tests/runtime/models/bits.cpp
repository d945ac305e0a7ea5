// One micro-batch's loss and gradients: the same bits with and without recomputation, on any number of threads.
#include <gtest/gtest.h>

#include "runtime/nn/moment.h"
#include "tests/runtime/models/placed.h"

namespace tranche {
namespace {

const std::string gpt2 = R"({"model_type": "gpt2", "n_layer": 2, "n_embd": 48, "n_head": 4, "n_positions": 40,
                             "vocab_size": 70, "resid_pdrop": 0.2, "attn_pdrop": 0.3, "embd_pdrop": 0.1})";
const std::string llama = R"({"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 48, "vocab_size": 70,
                              "intermediate_size": 100, "num_attention_heads": 4, "num_key_value_heads": 2,
                              "max_position_embeddings": 40, "attention_dropout": 0.2})";

struct Setting {
  std::string config = gpt2;
  DType dtype = DType::float32;
  bool recomputing = false;
  std::size_t threads = 1;
  bool training = true;
  Moment moment{.step = 3, .micro_batch = 5};
};

// The loss, then every gradient.
std::vector<float> numbers(const Setting& run) {
  testing::Placed placed{run.config, run.dtype, run.recomputing, 1, run.threads};
  placed.model->set_training(run.training);
  std::vector<std::vector<std::int32_t>> rows(3, std::vector<std::int32_t>(40));
  for (std::size_t b = 0; b < 3; ++b)
    for (std::size_t i = 0; i < 40; ++i) rows[b][i] = static_cast<std::int32_t>((7 * b + i * i) % 70);
  Moment::now() = run.moment;
  std::vector<float> all{placed.accumulate(placed.tokens(rows), placed.tokens(rows), 64)};
  Moment::now() = {};
  for (const Tensor& sum : placed.sync.finish()) {
    const std::vector<float> values = testing::floats(sum);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

class Bits : public ::testing::TestWithParam<std::tuple<std::string, DType>> {
 protected:
  Setting run() const { return {.config = std::get<0>(GetParam()), .dtype = std::get<1>(GetParam())}; }
};

TEST_P(Bits, AreTheSameWithRecomputation) {
  Setting recomputing = run();
  recomputing.recomputing = true;
  EXPECT_EQ(numbers(run()), numbers(recomputing));
}

TEST_P(Bits, AreTheSameOnAnyNumberOfThreads) {
  const std::vector<float> one = numbers(run());
  for (const std::size_t threads : {2, 3}) {
    Setting more = run();
    more.threads = threads;
    EXPECT_EQ(one, numbers(more)) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Bits,
                         ::testing::Combine(::testing::Values(gpt2, llama),
                                            ::testing::Values(DType::float32, DType::bfloat16, DType::float16)),
                         [](const auto& test) {
                           const std::string model = std::get<0>(test.param) == gpt2 ? "gpt2_" : "llama_";
                           return model + std::string{name_of(std::get<1>(test.param))};
                         });

TEST(DropoutOfModels, DependsOnTheMomentInTrainingAlone) {
  const Moment next{.step = 3, .micro_batch = 6};
  EXPECT_NE(numbers({}), numbers({.moment = next}));
  EXPECT_EQ(numbers({.training = false}), numbers({.training = false, .moment = next}));
  EXPECT_NE(numbers({}), numbers({.training = false}));
}

}  // namespace
}  // namespace tranche
