#include "partition/config.h"

#include "runtime/base/settings.h"

namespace tranche {

void ZeroConfig::declare(Section& zero) {
  zero.all_may_change();
  zero.key("stage", stage)
      .between(0, 3)
      .about("What is divided among the ranks: 0 nothing, 1 the optimizer's state, 2 gradients too, 3 parameters too.");
  zero.key("overlap_comm", overlap_comm).about("Whether communication runs beside computation; none: at stage 3.");
  zero.key("stage3_prefetch_bucket_size", prefetch_bucket_size)
      .about("Elements that may be gathered ahead of the unit in use, at stage 3.");

  for (const char* key : {"reduce_bucket_size", "allgather_bucket_size", "contiguous_gradients", "reduce_scatter",
                          "allgather_partitions", "use_multi_rank_bucket_allreduce"})
    zero.no_effect(key, nullptr,
                   "each unit's gradients and parameters are one flat buffer, exchanged whole in a fixed order");
  zero.no_effect("round_robin_gradients", false, "every rank owns an equal slice of every unit");
  for (const char* key : {"load_from_fp32_weights", "elastic_checkpoint", "stage3_gather_16bit_weights_on_model_save",
                          "stage3_gather_fp16_weights_on_model_save"})
    zero.no_effect(key, nullptr,
                   "a checkpoint holds the float32 parameters whole, for any number of ranks and any stage");
  zero.no_effect("ignore_unused_parameters", true, "a parameter without a gradient has gradient zero");
  for (const char* key : {"stage3_max_live_parameters", "stage3_max_reuse_distance"})
    zero.no_effect(key, 1e9, "a unit's parameters are released when its visit ends");
  for (const char* key : {"stage3_param_persistence_threshold", "stage3_model_persistence_threshold"})
    zero.no_effect(key, nullptr, "small parameters are gathered with the rest of their unit");
  for (const char* key :
       {"stage3_module_granularity_threshold", "stage3_use_all_reduce_for_fetch_params", "log_trace_cache_warnings"})
    zero.no_effect(key, nullptr, "the order of gathers is the model's own, not traced");
  zero.no_effect("use_all_reduce_for_fetch_params", false, "parameters are gathered by all-gather");
  zero.no_effect("memory_efficient_linear", true, "no copy of a weight is made");
  zero.no_effect("override_module_apply", true, "there are no Python modules");
  zero.no_effect("legacy_stage1", false, "stage 1 is implemented once");

  for (const char* key : {"zero_quantized_weights", "zero_quantized_nontrainable_weights", "zero_quantized_gradients"})
    zero.not_yet(key, false, "quantized communication");
  zero.not_yet("zeropp_loco_param", nullptr, "quantized communication");
  zero.not_yet("zero_hpz_partition_size", 1, "a second partition within each host");
  zero.not_yet("mics_shard_size", -1, "groups of ranks that each hold a whole copy");
  zero.not_yet("mics_hierarchical_params_gather", false, "groups of ranks that each hold a whole copy");
  zero.not_yet("pipeline_loading_checkpoint", false, "loading in a pipeline");
  zero.not_yet("cpu_offload", false, "the old name of offload_optimizer");
  zero.not_yet("cpu_offload_params", false, "the old name of offload_param");
  zero.no_effect("cpu_offload_use_pin_memory", nullptr, "nothing is offloaded");
  zero.not_yet("zenflow", nullptr, "updates of selected gradients ahead of the rest");
}

}  // namespace tranche
