#include "launcher/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/support/temporary_folder.h"

namespace tranche {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const char* const small_job = R"({
  "model": {"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 64, "vocab_size": 256},
  "data": {"train": "train.h5", "sequence_length": 32},
  "steps": 20,
  "train_batch_size": 24, "train_micro_batch_size_per_gpu": 2,
  "optimizer": {"type": "AdamW", "params": {"lr": 1e-3}}
})";

class Jobs : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder;
  using Overrides = std::vector<std::string>;

  std::string file(const std::string& text) const { return folder.write("job.json", text).string(); }
  std::unique_ptr<Job> job(const std::string& text, const Overrides& overrides = {}) const {
    return std::make_unique<Job>(read_job(file(text), overrides));
  }
  // The message, without the folder's name, of the Error that a job with these overrides must throw.
  std::string refusal(const Overrides& overrides, std::size_t ranks = 1, const std::string& text = small_job) const {
    try {
      job(text, overrides)->settle(ranks);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::job_file);
      std::string message = error.what();
      const std::string name = folder.path().string() + "/";
      for (std::size_t at; (at = message.find(name)) != message.npos;) message.erase(at, name.size());
      return message;
    }
    return "accepted";
  }
};

TEST_F(Jobs, ReachTheFoldersThatUseThem) {
  const auto read =
      job(small_job, {"zero_optimization.stage=3", "fp16.enabled=true", "device.memory=1GiB", "checkpoint.keep=3"});
  EXPECT_EQ(read->data.train, "train.h5");
  EXPECT_EQ(read->zero.stage, 3u);
  EXPECT_TRUE(read->zero.overlap());
  EXPECT_EQ(read->amp.precision().working, DType::float16);
  EXPECT_EQ(read->device.capacity(), std::size_t{1} << 30);
  EXPECT_EQ(read->checkpoint.keep, 3u);
  EXPECT_EQ(read->optimizer.rate, 1e-3);
  EXPECT_EQ(read->model_config.positions, 64u);
  EXPECT_EQ(read->directory(), "runs/job");
}

TEST_F(Jobs, HaveDeepSpeedsDefaults) {
  const auto read = job(small_job);
  EXPECT_EQ(read->train.gradient_clipping, 1.0);
  EXPECT_EQ(read->train.steps_per_print, 10u);
  EXPECT_EQ(read->zero.stage, 0u);
  EXPECT_EQ(read->zero.prefetch_bucket_size, 50'000'000u);
  EXPECT_FALSE(read->zero.overlap());
  EXPECT_EQ(read->amp.loss_scale, 0);
  EXPECT_EQ(read->amp.initial_scale_power, 16u);
  EXPECT_EQ(read->amp.window, 1000u);
  EXPECT_EQ(read->amp.hysteresis, 2u);
  EXPECT_FALSE(read->amp.consecutive_hysteresis);
  EXPECT_EQ(read->amp.min_loss_scale, 1);
  EXPECT_THAT(read->optimizer.betas, ElementsAre(0.9, 0.999));
  EXPECT_EQ(read->optimizer.epsilon, 1e-8);
  EXPECT_EQ(read->optimizer.weight_decay, 0);
}

// ---- The batch -----------------------------------------------------------------------------------------------------

TEST_F(Jobs, MicroBatchesAreDealtOutToAnyNumberOfRanksThatDividesThem) {
  for (const std::size_t ranks : {1u, 2u, 3u, 4u, 6u, 12u}) {
    const auto read = job(small_job);
    read->settle(ranks);
    EXPECT_EQ(read->batch.deal.micro_batches, 12u);
    EXPECT_EQ(read->batch.accumulation(), 12 / ranks);
  }
  EXPECT_EQ(
      refusal({}, 5),
      "job.json:5: the 12 micro-batches of a step (24 samples, 2 at a time) cannot be dealt out equally to 5 ranks; "
      "numbers of ranks that work: 1, 2, 3, 4, 6, 12");
  EXPECT_THAT(refusal({"reduction_block=3"}, 3),
              HasSubstr("in blocks of 3) cannot be dealt out equally to 3 ranks; numbers of ranks that work: 1, 2, 4"));
}

TEST_F(Jobs, TwoOfDeepSpeedsThreeBatchKeysGiveTheThird) {
  struct Case {
    std::string total, micro, accumulation;
    std::size_t ranks, want_micro, want_micro_batches;
  };
  for (const Case& each :
       {Case{"24", "2", "null", 3, 2, 12}, Case{"24", "null", "2", 3, 4, 6}, Case{"null", "2", "4", 3, 2, 12},
        Case{"24", "null", "null", 3, 8, 3}, Case{"null", "5", "null", 3, 5, 3}, Case{"24", "2", "4", 3, 2, 12},
        Case{"auto", "2", "auto", 1, 2, 1}}) {
    const auto read = job(small_job, {"train_batch_size=" + each.total, "train_micro_batch_size_per_gpu=" + each.micro,
                                      "gradient_accumulation_steps=" + each.accumulation});
    read->settle(each.ranks);
    EXPECT_EQ(read->batch.micro_batch_size, each.want_micro);
    EXPECT_EQ(read->batch.deal.micro_batches, each.want_micro_batches);
    EXPECT_EQ(read->effective()["train_batch_size"], each.want_micro * each.want_micro_batches);
  }
}

TEST_F(Jobs, BatchKeysThatContradictOneAnotherAreRefused) {
  EXPECT_THAT(refusal({"gradient_accumulation_steps=4"}, 2),
              HasSubstr("2 x \"gradient_accumulation_steps\" 4 x 2 ranks is 16; leave out"));
  EXPECT_THAT(refusal({"train_micro_batch_size_per_gpu=5"}),
              HasSubstr("\"train_batch_size\", 24, is not a multiple of"));
  EXPECT_THAT(refusal({"train_micro_batch_size_per_gpu=null"}, 5), HasSubstr("is not a multiple of 5 ranks"));
  EXPECT_THAT(refusal({"train_micro_batch_size_per_gpu=null", "train_batch_size=null"}),
              HasSubstr("\"train_batch_size\" is missing"));
  EXPECT_THAT(refusal({"reduction_block=5"}), HasSubstr("not a multiple of \"reduction_block\", 5"));
  EXPECT_THAT(refusal({"reduction_block=2", "zero_optimization.stage=2"}),
              HasSubstr("\"zero_optimization.stage\" must be 0 or 1, found 2"));
  EXPECT_THAT(refusal({"reduction=fast", "device.collectives=host"}), HasSubstr("does without NCCL: leave one"));
}

// ---- Bad input -----------------------------------------------------------------------------------------------------

TEST_F(Jobs, OneMessageSaysWhatIsWrongAndWhere) {
  const auto from = [&](const std::string& from_text, const std::string& to_text) {
    std::string text = small_job;
    text.replace(text.find(from_text), from_text.size(), to_text);
    return refusal({}, 1, text);
  };
  EXPECT_EQ(from("\"steps\"", "\"stepps\""), "job.json:4: unknown key \"stepps\"; did you mean \"steps\"?");
  EXPECT_EQ(from("\"sequence_length\"", "\"seqence_length\""),
            "job.json:3: unknown key \"data.seqence_length\"; did you mean \"data.sequence_length\"?");
  EXPECT_EQ(from("\"lr\"", "\"learning_rate\""),
            "job.json:6: unknown key \"optimizer.params.learning_rate\"; \"optimizer.params\" has lr, betas, eps, "
            "weight_decay, "
            "bias_correction, max_grad_norm, amsgrad, fused, foreach, capturable, torch_adam, fp32_optimizer_states "
            "and adam_w_mode");
  EXPECT_EQ(from("\"n_layer\"", "\"n_layers\""),
            "job.json:2: unknown key \"model.n_layers\"; did you mean \"model.n_layer\"?");
  EXPECT_THAT(from("gpt2", "gpt5"), HasSubstr("\"gpt5\""));
  EXPECT_EQ(from("\"steps\": 20,", "\"steps\": 20"),
            "job.json:5:20: not valid JSON: syntax error while parsing object - "
            "unexpected string literal; expected '}'");
  EXPECT_EQ(from("\"steps\": 20,", ""),
            "job.json: \"steps\" is missing: Training steps in all; a resumed run goes on to this many.");
  EXPECT_EQ(from("\"sequence_length\": 32", "\"sequence_length\": 65"),
            "job.json:3: \"data.sequence_length\" is 65, longer than the model's 64 positions");
  EXPECT_EQ(from("AdamW", "Lion"),
            "job.json:6: \"optimizer.type\" must be \"AdamW\" or \"Adam\" or \"SGD\", found \"Lion\"");
  EXPECT_THAT(from("\"n_head\": 2", "\"n_head\": 3"), HasSubstr("is not a multiple of \"n_head\", 3"));
}

TEST_F(Jobs, CombinationsThatCannotBeAreRefused) {
  EXPECT_THAT(refusal({"fp16.enabled=true", "bf16.enabled=true"}),
              HasSubstr("\"bf16.enabled\" has no effect unless `fp16.enabled` is false"));
  EXPECT_THAT(refusal({"fp16.semantics=torch", "fp16.hysteresis=3"}),
              HasSubstr("\"fp16.hysteresis\" has no effect unless `semantics` is \"deepspeed\""));
  EXPECT_THAT(refusal({"fp16.growth_interval=3"}), HasSubstr("has no effect unless `semantics` is \"torch\""));
  EXPECT_THAT(refusal({"optimizer.type=SGD", "optimizer.params.betas=[0.9,0.9]"}),
              HasSubstr("unknown key \"optimizer.params.betas\""));
  EXPECT_THAT(refusal({"scheduler.params.warmup_num_steps=5"}),
              HasSubstr("\"scheduler.params\" has no effect unless `type` is \"LRRangeTest\" or"));
  EXPECT_THAT(refusal({"scheduler.type=WarmupCosineLR", "scheduler.params.warmup_num_steps=20"}),
              HasSubstr("total_num_steps is 20"));
  EXPECT_THAT(refusal({"scheduler.type=OneCycle"}), HasSubstr("\"scheduler.params.cycle_min_lr\" is missing"));
}

TEST_F(Jobs, OffloadThatCannotBeIsRefused) {
  const std::string optimizer = "zero_optimization.offload_optimizer.", slices = "zero_optimization.offload_param.";
  const std::string stage3 = "zero_optimization.stage=3";
  EXPECT_THAT(refusal({optimizer + "device=nvme"}), HasSubstr("must name a folder on the disk"));
  EXPECT_THAT(refusal({stage3, optimizer + "device=cpu", slices + "device=nvme"}),
              HasSubstr("must name a folder on the disk"));
  EXPECT_THAT(refusal({optimizer + "device=cpu", slices + "device=cpu"}),
              HasSubstr("\"zero_optimization.stage\" must be 3, found 0"));
  EXPECT_THAT(refusal({stage3, slices + "device=cpu"}), HasSubstr("whose optimizer state is off the device too"));
  EXPECT_THAT(refusal({stage3, optimizer + "device=cpu", optimizer + "ratio=0.5", slices + "device=cpu"}),
              HasSubstr("ratio\" is 0.5, which keeps a part on the device"));
  EXPECT_THAT(refusal({stage3, optimizer + "device=nvme", optimizer + "nvme_path=/a", slices + "device=nvme",
                       slices + "nvme_path=/b"}),
              HasSubstr("a rank has one swap file, so name one folder"));
  EXPECT_EQ(refusal({stage3, optimizer + "device=cpu", slices + "device=nvme", slices + "nvme_path=/b"}), "accepted");
  EXPECT_EQ(refusal({stage3, optimizer + "device=nvme", slices + "device=nvme", slices + "nvme_path=/b"}), "accepted");
}

TEST_F(Jobs, ActivationsLieElsewhereOnlyWithRecomputation) {
  const std::string section = "activation_checkpointing.", enabled = section + "enabled=true";
  EXPECT_THAT(refusal({section + "cpu_checkpointing=true"}),
              HasSubstr("set \"activation_checkpointing.enabled\" to true"));
  EXPECT_THAT(refusal({section + "nvme_path=/a"}), HasSubstr("set \"activation_checkpointing.enabled\" to true"));
  EXPECT_THAT(refusal({enabled, section + "nvme_path=/a", "zero_optimization.offload_optimizer.device=nvme",
                       "zero_optimization.offload_optimizer.nvme_path=/b"}),
              HasSubstr("a rank has one swap file, so name one folder"));
  EXPECT_EQ(refusal({enabled, section + "cpu_checkpointing=true"}), "accepted");
  EXPECT_EQ(refusal({enabled, section + "nvme_path=/a"}), "accepted");
}

TEST_F(Jobs, WhatIsNotHereYetIsRefusedWhenItIsSwitchedOnAndOnlyThen) {
  for (const char* on : {"zero_optimization.zero_quantized_weights=true", "zero_optimization.zero_hpz_partition_size=8",
                         "elasticity.enabled=true", "compression_training.row_pruning.shared_parameters.enabled=true",
                         "activation_checkpointing.partition_activations=true", "csv_monitor.enabled=true",
                         "flops_profiler.enabled=true", "comms_logger.enabled=true", "amp.enabled=true",
                         "sparse_attention={\"mode\": \"fixed\"}", "wall_clock_breakdown=true"})
    EXPECT_THAT(refusal({on}), HasSubstr("not supported yet")) << on;
  for (const char* off :
       {"zero_optimization.offload_optimizer.device=none", "zero_optimization.offload_param.device=none",
        "zero_optimization.offload_optimizer={\"device\": \"none\", \"pin_memory\": true}",
        "zero_optimization.zero_quantized_weights=false", "elasticity.enabled=false", "elasticity.max_gpus=100",
        "compression_training.weight_quantization.shared_parameters.enabled=false", "flops_profiler.enabled=false",
        "sparse_attention=null", "wall_clock_breakdown=false", "zero_optimization.offload_param=null"})
    EXPECT_EQ(refusal({off}), "accepted") << off;
}

// ---- The model -----------------------------------------------------------------------------------------------------

TEST_F(Jobs, TheModelMayBeAFileOrItsFolder) {
  const std::string config =
      R"({"model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64, "max_position_embeddings": 64})";
  const std::string path = folder.write("config.json", config).string();
  const auto inline_model = job(small_job, {"model=" + config});
  for (const std::string& name : {path, folder.path().string()}) {
    const auto read = job(small_job, {"model=" + name});
    EXPECT_EQ(read->model_config.type, "llama");
    EXPECT_EQ(read->effective(), inline_model->effective());  // a checkpoint holds the model, not the file's name
  }
  EXPECT_EQ(job(small_job, {"model=" + path, "model.num_hidden_layers=3"})->model_config.layers, 3u);
  EXPECT_EQ(refusal({"model=" + path, "model.num_hiden_layers=3"}),
            "--set num_hiden_layers=3: unknown key \"num_hiden_layers\"; did you mean \"num_hidden_layers\"?");
  EXPECT_THAT(refusal({"model=missing.json"}), StartsWith("missing.json: cannot be opened"));
  EXPECT_THAT(refusal({"model=5"}), HasSubstr("must be a Hugging Face configuration"));
  folder.write("config.json", "{\n\"model_type\": \"llama\",\n\"hiden_size\": 5}");
  EXPECT_EQ(refusal({"model=" + path}), "config.json:3: unknown key \"hiden_size\"; did you mean \"hidden_size\"?");
}

// ---- Stored in checkpoints -----------------------------------------------------------------------------------------

TEST_F(Jobs, TheEffectiveJobIsTheSameJob) {
  const auto first = job(small_job, {"scheduler.type=WarmupCosineLR", "scheduler.params.warmup_num_steps=5",
                                     "fp16.enabled=true", "zero_optimization.reduce_bucket_size=1000"});
  first->settle(3);
  Job second{stored_job(first->effective(), "manifest.json", {})};
  second.settle(2);
  EXPECT_EQ(first->effective(), second.effective());
  EXPECT_EQ(first->hash(), second.hash());
  std::ofstream{folder.path() / "annotated.jsonc"} << first->annotated();
  Job third{read_job(folder.path() / "annotated.jsonc", {})};
  third.settle(4);
  EXPECT_EQ(first->hash(), third.hash());
}

TEST_F(Jobs, KeysWithoutEffectDoNotChangeTheHashAndOthersDo) {
  const auto hash = [&](const Overrides& overrides) { return job(small_job, overrides)->hash(); };
  EXPECT_EQ(hash({}), hash({"zero_optimization.reduce_bucket_size=1000", "model.use_cache=false", "steps=20"}));
  EXPECT_NE(hash({}), hash({"steps=21"}));
  EXPECT_NE(hash({}), hash({"model.n_layer=3"}));
}

TEST_F(Jobs, AResumedRunMayChangeWhatChangesNoNumber) {
  const auto first = job(small_job);
  first->settle(2);
  const auto resumed = [&](const Overrides& overrides, std::size_t ranks = 3) -> std::string {
    try {
      job(small_job, overrides)->resume(ranks, first->effective(), "runs/job/step-000010");
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::checkpoint);
      return error.what();
    }
    return "accepted";
  };
  for (const Overrides& fine : {Overrides{},
                                {"steps=30"},
                                {"zero_optimization.stage=3"},
                                {"checkpoint.every=5"},
                                {"data.train=moved.h5"},
                                {"device.threads=2"},
                                {"activation_checkpointing.enabled=true"},
                                {"zero_optimization.stage3_prefetch_bucket_size=0"},
                                {"model.use_cache=true"}})
    EXPECT_EQ(resumed(fine), "accepted");
  for (const char* changed : {"seed=2", "train_batch_size=48", "optimizer.params.lr=2e-3", "fp16.enabled=true",
                              "gradient_clipping=0.5", "reduction_block=2", "reduction=fast", "data.sequence_length=16",
                              "optimizer.type=SGD", "scheduler.type=WarmupLR"})
    EXPECT_THAT(resumed({changed}, 1), HasSubstr("this job changes what runs/job/step-000010 was trained with"))
        << changed;
  EXPECT_THAT(resumed({"optimizer.params.lr=2e-3"}), HasSubstr("\"optimizer.params.lr\" was 0.001 and is now 0.002"));
  EXPECT_THAT(resumed({"model.n_layer=3"}),
              HasSubstr("is a checkpoint of another model: \"n_layer\" is 2 and 3 in this job"));
}

TEST_F(Jobs, AResumedRunKeepsTheBatchThatTheFirstStartFixed) {
  const Overrides free{"train_batch_size=null", "gradient_accumulation_steps=3"};
  const auto first = job(small_job, free);
  first->settle(4);
  EXPECT_EQ(first->batch.deal.micro_batches, 12u);
  const auto second = job(small_job, free);
  second->resume(2, first->effective(), "step-000010");
  EXPECT_EQ(second->batch.deal.micro_batches, 12u);
  EXPECT_EQ(second->batch.accumulation(), 6u);
  EXPECT_EQ(second->hash(), first->hash());
  EXPECT_THROW(job(small_job, free)->resume(5, first->effective(), "step-000010"), Error);
}

TEST_F(Jobs, AScheduleThatEndsWithTheRunIsFixedAtItsStart) {
  const Overrides cosine{"scheduler.type=WarmupCosineLR", "scheduler.params.warmup_num_steps=5"};
  const auto first = job(small_job, cosine);
  first->settle(1);
  EXPECT_EQ(*first->scheduler.total, 20u);
  Overrides longer = cosine;
  longer.push_back("steps=40");
  EXPECT_THROW(job(small_job, longer)->resume(1, first->effective(), "step-000010"), Error);
  longer.push_back("scheduler.params.total_num_steps=20");
  EXPECT_NO_THROW(job(small_job, longer)->resume(1, first->effective(), "step-000010"));
}

TEST_F(Jobs, TheFirstDifferenceIsNamed) {
  const auto json = [](const char* text) { return parse_json(text, "", Exit::internal); };
  EXPECT_EQ(first_difference(json(R"({"a": {"b": 1, "c": 2}})"), json(R"({"a": {"b": 1, "c": 3}})")),
            "\"a.c\" is 2 and 3");
  EXPECT_EQ(first_difference(json(R"({"a": 1})"), json(R"({"a": 1, "b": 2})")), "\"b\" is null and 2");
  EXPECT_EQ(first_difference(json(R"({"a": 1})"), json(R"({"a": 1.0})")), "");
}

// ---- The reference page --------------------------------------------------------------------------------------------

TEST(Reference, IsWhatTheProgramPrints) {
  std::stringstream page;
  page << std::ifstream{"docs/job-file.md"}.rdbuf();
  EXPECT_EQ(page.str(), Job{}.reference())
      << "make it again: build/release/tranche config --reference > docs/job-file.md";
}

}  // namespace
}  // namespace tranche
