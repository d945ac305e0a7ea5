// A ds_config.json, as people have it, becomes a job by adding model, data and steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/job.h"
#include "tests/support/temporary_folder.h"

namespace tranche {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class DeepSpeedConfig : public ::testing::Test {
 protected:
  std::unique_ptr<Job> job(const std::string& text, std::vector<std::string> overrides = {}) const {
    const std::string file = folder_.write("ds_config.json", text).string();
    for (
        const char* each :
        {"steps=100", "data.train=train.h5", "data.sequence_length=32",
         R"(model={"model_type": "gpt2", "n_layer": 1, "n_head": 2, "n_embd": 32, "n_positions": 64, "vocab_size": 256})"})
      overrides.emplace_back(each);
    auto read = std::make_unique<Job>(read_job(file, overrides));
    read->settle(2);
    return read;
  }

 private:
  testing::TemporaryFolder folder_;
};

// As documentation of Hugging Face's Trainer gives it.
TEST_F(DeepSpeedConfig, OfATrainerAtStage2WithAutoEverywhere) {
  const auto read = job(R"({
    "fp16": {"enabled": "auto", "loss_scale": 0, "loss_scale_window": 1000, "initial_scale_power": 16, "hysteresis": 2,
             "min_loss_scale": 1},
    "bf16": {"enabled": "auto"},
    "optimizer": {"type": "AdamW",
                  "params": {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto"}},
    "scheduler": {"type": "WarmupLR",
                  "params": {"warmup_min_lr": "auto", "warmup_max_lr": "auto", "warmup_num_steps": "auto"}},
    "zero_optimization": {
      "stage": 2, "offload_optimizer": {"device": "none", "pin_memory": true}, "allgather_partitions": true,
      "allgather_bucket_size": 2e8, "overlap_comm": true, "reduce_scatter": true, "reduce_bucket_size": 2e8,
      "contiguous_gradients": true},
    "gradient_accumulation_steps": "auto", "gradient_clipping": "auto", "steps_per_print": 2000,
    "train_batch_size": "auto", "train_micro_batch_size_per_gpu": "auto", "wall_clock_breakdown": false
  })",
                        {"train_micro_batch_size_per_gpu=2", "optimizer.params.lr=5e-4"});
  EXPECT_EQ(read->zero.stage, 2u);
  EXPECT_EQ(read->train.steps_per_print, 2000u);
  EXPECT_EQ(read->batch.samples(), 4u);
  const Schedule schedule = make_schedule(read->scheduler, read->optimizer);
  EXPECT_EQ(schedule(5000).rate, 5e-4) << "a warmup without a rate of its own ends at the optimizer's";
  EXPECT_THAT(read->without_effect(), SizeIs(2));
  EXPECT_THAT(read->without_effect(), Contains(HasSubstr("zero_optimization.reduce_bucket_size")));
}

TEST_F(DeepSpeedConfig, AtStage3WithEveryKnob) {
  const auto read = job(R"({
    "bf16": {"enabled": true},
    "optimizer": {"type": "Adam", "params": {"lr": 3e-5, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1}},
    "scheduler": {"type": "WarmupDecayLR", "params": {"last_batch_iteration": -1, "total_num_steps": 100,
                  "warmup_min_lr": 0, "warmup_max_lr": 3e-5, "warmup_num_steps": 10, "warmup_type": "linear"}},
    "zero_optimization": {
      "stage": 3, "offload_optimizer": {"device": "none"}, "offload_param": {"device": "none"}, "overlap_comm": true,
      "contiguous_gradients": true, "sub_group_size": 1e9, "reduce_bucket_size": "auto",
      "stage3_prefetch_bucket_size": 1e6, "stage3_param_persistence_threshold": "auto",
      "stage3_max_live_parameters": 1e9, "stage3_max_reuse_distance": 1e9,
      "stage3_gather_16bit_weights_on_model_save": true, "round_robin_gradients": true},
    "activation_checkpointing": {"partition_activations": false, "cpu_checkpointing": false,
      "contiguous_memory_optimization": false, "number_checkpoints": null, "synchronize_checkpoint_boundary": false,
      "profile": false},
    "aio": {"block_size": 1048576, "queue_depth": 8, "intra_op_parallelism": 1, "single_submit": false,
            "overlap_events": true},
    "flops_profiler": {"enabled": false, "profile_step": 1, "module_depth": -1, "top_modules": 1, "detailed": true,
                       "output_file": null},
    "comms_logger": {"enabled": false, "verbose": false, "prof_all": true, "debug": false},
    "tensorboard": {"enabled": false, "output_path": "logs", "job_name": "gpt"},
    "elasticity": {"enabled": false, "max_train_batch_size": 2000, "micro_batch_sizes": [2, 4, 6], "min_gpus": 1,
                   "max_gpus": 10000},
    "checkpoint": {"tag_validation": "Warn", "load_universal": false},
    "gradient_accumulation_steps": 4, "train_micro_batch_size_per_gpu": 1, "gradient_clipping": 1.0,
    "prescale_gradients": false, "communication_data_type": "fp32", "zero_allow_untested_optimizer": true
  })");
  EXPECT_EQ(read->zero.stage, 3u);
  EXPECT_EQ(read->zero.prefetch_bucket_size, 1'000'000u);
  EXPECT_EQ(read->amp.precision().working, DType::bfloat16);
  EXPECT_EQ(read->batch.deal.micro_batches, 8u);
  EXPECT_TRUE(read->optimizer.decoupled) << "DeepSpeed's Adam decouples weight decay by default";
}

TEST_F(DeepSpeedConfig, WithCompressionThatIsOff) {
  EXPECT_NO_THROW(job(R"({
    "train_batch_size": 8, "train_micro_batch_size_per_gpu": 1, "optimizer": {"type": "Adam"},
    "compression_training": {
      "weight_quantization": {
        "shared_parameters": {"enabled": false, "quantizer_kernel": false, "schedule_offset": 0, "quantize_groups": 1,
          "quantize_verbose": false, "quantization_type": "symmetric", "rounding": "nearest"},
        "different_groups": {"wq1": {"params": {"start_bits": 8, "target_bits": 8}, "modules": ["attention"]}}},
      "sparse_pruning": {"shared_parameters": {"enabled": false, "method": "l1"}}
    }
  })"));
}

TEST_F(DeepSpeedConfig, ThatOffloadsParametersAndStateIsRead) {
  const std::unique_ptr<Job> read =
      job(R"({"train_batch_size": 8, "train_micro_batch_size_per_gpu": 1, "optimizer": {"type": "AdamW"},
      "zero_optimization": {"stage": 3,
        "offload_optimizer": {"device": "cpu", "pin_memory": true},
        "offload_param": {"device": "cpu", "pin_memory": true}}})");
  EXPECT_EQ(read->offload.optimizer, Tier::host);
  EXPECT_EQ(read->offload.parameters, Tier::host);
}

}  // namespace
}  // namespace tranche
