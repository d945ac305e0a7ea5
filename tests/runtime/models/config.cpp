// What a Hugging Face config.json means, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/models/gpt2.h"
#include "runtime/models/llama.h"
#include "tests/runtime/models/placed.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::model_from;
using ::testing::StartsWith;

std::string refusal(const std::string& text) {
  try {
    model_from(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::job_file);
    return error.what();
  }
  return "accepted";
}

std::string gpt2(const std::string& keys) { return "{\"model_type\": \"gpt2\", \"n_layer\": 1, " + keys + "}"; }
std::string llama(const std::string& keys) {
  return "{\"model_type\": \"llama\", \"num_hidden_layers\": 1, " + keys + "}";
}

TEST(ModelConfig, NamesAloneGiveThePublishedModels) {
  const auto gpt2_small = model_from(R"({"model_type": "gpt2"})");
  EXPECT_EQ(gpt2_small->parameters(), 124'439'808u);  // the paper's smallest model, as Hugging Face counts it
  EXPECT_EQ(gpt2_small->units().size(), 14u);
  EXPECT_EQ(gpt2_small->config().head_width, 64u);
  EXPECT_TRUE(gpt2_small->config().tied);
  const auto llama_7b = model_from(R"({"model_type": "llama"})");
  EXPECT_EQ(llama_7b->parameters(), 6'738'415'616u);
  EXPECT_FALSE(llama_7b->config().tied);
  const auto llama3_8b = model_from(R"({"model_type": "llama", "vocab_size": 128256, "intermediate_size": 14336,
      "num_key_value_heads": 8, "rope_theta": 500000.0, "rms_norm_eps": 1e-05, "max_position_embeddings": 8192})");
  EXPECT_EQ(llama3_8b->parameters(), 8'030'261'248u);
}

TEST(ModelConfig, GptTwoAsPublishedWithItsOldKeysIsAccepted) {
  const auto model = model_from(R"({
    "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 50256,
    "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
    "resid_pdrop": 0.1, "summary_activation": null, "summary_first_dropout": 0.1, "summary_proj_to_labels": true,
    "summary_type": "cls_index", "summary_use_proj": true,
    "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}, "vocab_size": 50257})");
  EXPECT_EQ(model->parameters(), 124'439'808u);
  EXPECT_THAT(model->config().without_effect, ::testing::Contains(HasSubstr("summary_type")));
  EXPECT_EQ(model->config().settings["n_positions"], 1024);
}

TEST(ModelConfig, DropoutHasTheDefaultsOfTransformers) {
  const Gpt2Config gpt2_config;
  EXPECT_EQ(gpt2_config.embedding_dropout, 0.1);
  EXPECT_EQ(gpt2_config.attention_dropout, 0.1);
  EXPECT_EQ(gpt2_config.residual_dropout, 0.1);
  EXPECT_EQ(LlamaConfig{}.attention_dropout, 0);
}

TEST(ModelConfig, ParametersAreKnownByName) {
  const auto names = [](const std::string& config) {
    std::vector<std::string> all;
    const auto model = model_from(config);
    for (const Unit& unit : model->units())
      for (const Parameter* parameter : unit.parameters())
        all.push_back(str(unit.name(), ": ", parameter->name, parameter->shape));
    return all;
  };
  EXPECT_THAT(
      names(gpt2(R"("n_embd": 8, "n_head": 2, "n_positions": 5, "vocab_size": 7)")),
      ::testing::ElementsAre(
          "embedding: embedding.weight[7, 8]", "embedding: positions.weight[5, 8]", "blocks.0: blocks.0.norm1.gain[8]",
          "blocks.0: blocks.0.norm1.bias[8]", "blocks.0: blocks.0.attention.qkv.weight[24, 8]",
          "blocks.0: blocks.0.attention.qkv.bias[24]", "blocks.0: blocks.0.attention.output.weight[8, 8]",
          "blocks.0: blocks.0.attention.output.bias[8]", "blocks.0: blocks.0.norm2.gain[8]",
          "blocks.0: blocks.0.norm2.bias[8]", "blocks.0: blocks.0.mlp.up.weight[32, 8]",
          "blocks.0: blocks.0.mlp.up.bias[32]", "blocks.0: blocks.0.mlp.down.weight[8, 32]",
          "blocks.0: blocks.0.mlp.down.bias[8]", "head: norm.gain[8]", "head: norm.bias[8]"));
  EXPECT_THAT(names(llama(R"("hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 4, "head_dim": 6,
                             "num_key_value_heads": 2, "vocab_size": 7, "mlp_bias": true)")),
              ::testing::ElementsAre(
                  "embedding: embedding.weight[7, 8]", "blocks.0: blocks.0.norm1.gain[8]",
                  "blocks.0: blocks.0.attention.qkv.weight[48, 8]", "blocks.0: blocks.0.attention.output.weight[8, 24]",
                  "blocks.0: blocks.0.norm2.gain[8]", "blocks.0: blocks.0.mlp.gate.weight[12, 8]",
                  "blocks.0: blocks.0.mlp.gate.bias[12]", "blocks.0: blocks.0.mlp.up.weight[12, 8]",
                  "blocks.0: blocks.0.mlp.up.bias[12]", "blocks.0: blocks.0.mlp.down.weight[8, 12]",
                  "blocks.0: blocks.0.mlp.down.bias[8]", "head: norm.gain[8]", "head: head.weight[7, 8]"));
}

TEST(ModelConfig, MistypedKeysAreRefusedWithTheNearestOne) {
  EXPECT_THAT(refusal("{\"model_type\": \"gpt2\",\n\"n_layers\": 2}"),
              AllOf(StartsWith("config.json:2: "), HasSubstr("n_layers"), HasSubstr("\"n_layer\"")));
  EXPECT_THAT(refusal(llama("\"rms_norm_epsilon\": 1e-5")), HasSubstr("\"rms_norm_eps\""));
}

TEST(ModelConfig, WhatIsNotImplementedIsRefused) {
  EXPECT_THAT(refusal(llama(R"("rope_scaling": {"type": "linear", "factor": 2.0})")), HasSubstr("rope_scaling"));
  EXPECT_THAT(refusal(llama(R"("rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6})")),
              HasSubstr("rope_parameters"));
  EXPECT_THAT(refusal(gpt2("\"activation_function\": \"quick_gelu\"")),
              AllOf(HasSubstr("activation_function"), HasSubstr("gelu_new")));
  EXPECT_THAT(refusal(gpt2("\"add_cross_attention\": true")), HasSubstr("cross-attention"));
  EXPECT_THAT(refusal(gpt2("\"quantization_config\": {\"bits\": 4}")), HasSubstr("quantized"));
  EXPECT_THAT(refusal(R"({"model_type": "bert"})"), AllOf(HasSubstr("\"gpt2\" or \"llama\""), HasSubstr("\"bert\"")));
  EXPECT_THAT(refusal(R"({"n_layer": 2})"), HasSubstr("\"model_type\" is missing"));
}

TEST(ModelConfig, RanksAreOfLinearsThatAreThere) {
  EXPECT_EQ(refusal(gpt2(R"("low_rank": {"blocks.0.mlp.up": 7})")), "accepted");
  EXPECT_EQ(refusal(gpt2(R"("low_rank": null)")), "accepted");
  EXPECT_THAT(refusal(gpt2(R"("low_rank": {"blocks.99.mlp.up": 7})")), HasSubstr("the model has no such linear"));
  EXPECT_THAT(refusal(gpt2(R"("low_rank": {"blocks.0.mlp.up.left": 7})")), HasSubstr("the model has no such linear"));
  EXPECT_THAT(refusal(gpt2(R"("low_rank": {"embedding": 7})")), HasSubstr("the model has no such linear"));
  EXPECT_THAT(refusal(gpt2(R"("low_rank": {"blocks.0.mlp.up": 0})")), HasSubstr("expected one from 1 to"));
  EXPECT_THAT(refusal(gpt2(R"("low_rank": {"blocks.0.mlp.up": 100000})")), HasSubstr("expected one from 1 to"));
  EXPECT_THAT(refusal(gpt2(R"("low_rank": {"blocks.0.mlp.up": -1})")), HasSubstr("must be a whole number"));
  EXPECT_THAT(refusal(gpt2(R"("low_rank": 7)")), HasSubstr("must be an object of numbers by name"));
}

TEST(ModelConfig, WhatIsLeftIsOfFeaturesThatAreThere) {
  EXPECT_EQ(refusal(gpt2(R"("pruned_to": {"blocks.0.attention.heads": 1, "blocks.0.mlp.neurons": 5})")), "accepted");
  EXPECT_EQ(refusal(llama(R"("pruned_to": {"blocks.0.attention.heads": 1})")), "accepted");
  EXPECT_EQ(refusal(gpt2(R"("pruned_to": null)")), "accepted");
  EXPECT_THAT(refusal(gpt2(R"("pruned_to": {"blocks.99.mlp.neurons": 5})")),
              HasSubstr("the model has no such features"));
  EXPECT_THAT(refusal(gpt2(R"("pruned_to": {"blocks.0.mlp": 5})")), HasSubstr("the model has no such features"));
  EXPECT_THAT(refusal(gpt2(R"("pruned_to": {"blocks.0.mlp.neurons": 0})")), HasSubstr("0 are left, expected 1 to"));
  EXPECT_THAT(refusal(gpt2(R"("pruned_to": {"blocks.0.attention.heads": 999})")), HasSubstr("expected 1 to"));
  EXPECT_THAT(refusal(gpt2(R"("pruned_to": {"blocks.0.mlp.neurons": 2.5})")), HasSubstr("must be a whole number"));
  EXPECT_THAT(refusal(gpt2(R"("pruned_to": [5])")), HasSubstr("must be an object of numbers by name"));
}

TEST(ModelConfig, NeutralValuesOfWhatIsNotImplementedAreAccepted) {
  EXPECT_EQ(refusal(llama(R"("rope_scaling": null, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6})")),
            "accepted");
  EXPECT_EQ(refusal(gpt2(R"("add_cross_attention": false, "pruned_heads": {}, "quantization_config": null)")),
            "accepted");
}

TEST(ModelConfig, SizesThatDoNotFitTogetherAreRefused) {
  EXPECT_THAT(refusal(gpt2("\"n_embd\": 10, \"n_head\": 4")),
              AllOf(HasSubstr("\"n_embd\", 10"), HasSubstr("\"n_head\", 4")));
  EXPECT_THAT(refusal(gpt2("\"n_ctx\": 512")), HasSubstr("n_positions"));
  EXPECT_THAT(refusal(llama("\"hidden_size\": 30, \"num_attention_heads\": 4")), HasSubstr("head_dim"));
  EXPECT_THAT(refusal(llama("\"num_key_value_heads\": 5")), HasSubstr("\"num_key_value_heads\", 5"));
  EXPECT_THAT(refusal(llama("\"head_dim\": 7")), HasSubstr("even"));
  EXPECT_THAT(refusal(gpt2("\"vocab_size\": 0")), HasSubstr("from 1 to"));
  EXPECT_THAT(refusal(gpt2("\"n_head\": 1e12")), HasSubstr("from 1 to"));
  EXPECT_THAT(refusal(gpt2("\"resid_pdrop\": 1.0")), HasSubstr("resid_pdrop"));
  EXPECT_THAT(refusal(gpt2("\"layer_norm_epsilon\": 0")), HasSubstr("layer_norm_epsilon"));
}

TEST(ModelConfig, AModelWithinAJobFileIsNamedByItsPath) {
  Source source;
  source.file = "job.json";
  const Json job = parse_json("{\"seed\": 1,\n\"model\": {\"model_type\": \"gpt2\",\n\"n_layer\": 0}}", "job.json",
                              Exit::job_file, &source.lines);
  try {
    make_model(job["model"], source, "model", 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(StartsWith("job.json:3: "), HasSubstr("\"model.n_layer\"")));
  }
}

TEST(ModelConfig, FlopsCountEveryMatrixOnceAndTheScores) {
  const auto model = model_from(gpt2(R"("n_embd": 8, "n_head": 2, "n_positions": 5, "vocab_size": 7)"));
  const double block = 24 * 8 + 24 + 8 * 8 + 8 + 2 * 32 * 8 + 32 + 8 + 4 * 8;
  EXPECT_EQ(model->flops_per_token(5), 6 * (block + 16 + 7 * 8) + 12 * 8 * 5);
}

}  // namespace
}  // namespace tranche
