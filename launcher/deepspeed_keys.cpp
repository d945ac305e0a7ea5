#include "launcher/deepspeed_keys.h"

#include "runtime/base/settings.h"

namespace tranche {
namespace {

// A feature that "enabled" switches on, and its other keys, which matter only then.
void declare_switched(Section& parent, const char* name, const char* what, std::initializer_list<const char*> others) {
  Section& section = parent.section(name, "");
  section.not_yet("enabled", false, what);
  for (const char* key : others) section.no_effect(key, nullptr, "it belongs to a feature that is off");
}

void declare_monitors(Section& job) {
  declare_switched(job, "csv_monitor", "CSV files; metrics.jsonl holds every step", {"output_path", "job_name"});
  declare_switched(job, "wandb", "Weights & Biases; metrics.jsonl holds every step", {"group", "team", "project"});
  declare_switched(job, "comet", "Comet; metrics.jsonl holds every step",
                   {"samples_log_interval", "project", "workspace", "api_key", "experiment_name", "experiment_key",
                    "online", "mode"});
  declare_switched(job, "flops_profiler", "a table of each module's operations",
                   {"profile_step", "module_depth", "top_modules", "detailed", "output_file", "recompute_fwd_factor"});
  declare_switched(job, "comms_logger", "a log of every collective; metrics.jsonl holds each step's bytes by operation",
                   {"prof_all", "verbose", "debug", "prof_ops"});
  job.not_yet("wall_clock_breakdown", false, "times within a step");
  job.not_yet("memory_breakdown", false, "memory within a step; metrics.jsonl holds each step's peaks");
  job.no_effect("dump_state", false, "`tranche config` prints the effective job");
  job.no_effect("timers", nullptr, "there are no such timers");
}

void declare_others(Section& job) {
  for (const char* key : {"prescale_gradients", "gradient_predivide_factor", "fp32_allreduce"})
    job.no_effect(key, nullptr, "gradients are summed in float32, which has room for every sum");
  for (const char* key : {"communication_data_type", "seq_parallel_communication_data_type"})
    job.no_effect(key, nullptr, "gradients travel in the working precision and are summed in float32");
  job.no_effect("disable_allgather", false, "parameters are gathered in one way");
  for (const char* key : {"zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer"})
    job.no_effect(key, nullptr, "every optimizer here works at every stage");
  job.no_effect("dataloader_drop_last", false, "data has no last batch: an epoch ends where the next begins");
  job.no_effect("vocabulary_size", nullptr, "the model's vocab_size tells");
  job.no_effect("graph_harvesting", false, "there are no graphs to capture");
  Section& types = job.section("data_types", "");
  types.not_yet("grad_accum_dtype", "fp32", "sums of gradients in another precision than float32");

  declare_switched(
      job, "elasticity",
      "batch sizes chosen for a range of ranks; a fixed train_batch_size already gives the same "
      "numbers on any number of ranks that divides its micro-batches",
      {"max_train_batch_size", "micro_batch_sizes", "min_gpus", "max_gpus", "min_time", "version",
       "prefer_larger_batch", "ignore_non_elastic_batch_info", "num_gpus_per_node", "model_parallel_size"});
  declare_switched(job, "amp", "NVIDIA Apex; fp16 and bf16 are mixed precision here", {"opt_level", "loss_scale"});
  declare_switched(job, "torch_autocast", "PyTorch's autocast; fp16 and bf16 are mixed precision here",
                   {"dtype", "lower_precision_safe_modules"});
  declare_switched(
      job, "autotuning", "the search for a configuration",
      {"results_dir", "exps_dir", "overwrite", "fast", "metric", "start_profile_step", "end_profile_step", "tuner_type",
       "tuner_early_stopping", "tuner_num_trials", "arg_mappings", "max_train_batch_size", "mp_size", "model_info"});
  declare_switched(job, "curriculum_learning", "sequences that grow during training",
                   {"curriculum_type", "min_difficulty", "max_difficulty", "schedule_type", "schedule_config"});
  declare_switched(job, "data_efficiency", "sampling by difficulty, dropping of tokens",
                   {"seed", "data_sampling", "data_routing"});
  declare_switched(job, "progressive_layer_drop", "layers left out at random", {"theta", "gamma"});
  declare_switched(job, "eigenvalue", "eigenvalues of the loss",
                   {"verbose", "max_iter", "tol", "stability", "gas_boundary_resolution", "layer_name", "layer_num"});
  declare_switched(job, "quantize_training", "mixture of quantization",
                   {"quantize_verbose", "quantizer_kernel", "quantize_type", "quantize_bits", "quantize_schedule",
                    "quantize_groups", "fp16_mixed_quantize"});
  declare_switched(
      job, "hybrid_engine", "generation between training steps",
      {"max_out_tokens", "inference_tp_size", "release_inference_cache", "pin_parameters", "tp_gather_partition_size"});
  declare_switched(job, "nebula", "the Nebula service",
                   {"persistent_storage_path", "persistent_time_interval", "num_of_version_in_retention",
                    "enable_nebula_load", "load_path"});
  job.not_yet("sparse_gradients", false, "sparse gradients of embeddings");
  job.not_yet("sparse_attention", nullptr, "sparse attention");
  job.not_yet("pipeline", nullptr, "stages of a pipeline");
  job.not_yet("tensor_parallel", nullptr, "layers divided among ranks");
  job.not_yet("sequence_parallel_size", 1, "sequences divided among ranks");
}

}  // namespace

void declare_deepspeed_keys(Section& job) {
  declare_monitors(job);
  declare_others(job);
}

}  // namespace tranche
