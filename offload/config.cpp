#include "offload/config.h"

#include "runtime/base/settings.h"

namespace tranche {

void OffloadConfig::declare(Section& zero) {
  zero.key("sub_group_size", sub_group)
      .at_least(1024)
      .about(
          "Elements of offloaded state that are updated at a time, at most; never more than 4194304 are, or a 512th of "
          "a unit.");
  Section& section = zero.section(
      "offload_optimizer",
      "Where masters, the optimizer's state and sums of gradients live, and where they are updated (Ren et al. 2021). "
      "Changes no number.");
  section.all_may_change();
  section.choice<Tier>("device", optimizer, {{"none", Tier::device}, {"cpu", Tier::host}, {"nvme", Tier::disk}})
      .about(
          "none: on the device; cpu: in host memory; nvme: on disk, in a file of each rank's in `nvme_path` that has "
          "no name and is gone with the process.");
  section.key("nvme_path", nvme_path).about("A folder on a fast disk of the rank's host, for the rank's swap file.");
  section.key("buffer_count", buffer_count)
      .at_least(2)
      .about("Pieces of state that are under way between the tiers at a time.");
  section.key("ratio", ratio)
      .between(0.0, 1.0)
      .about(
          "The part of the elements that is offloaded, in whole units, the model's last ones; the rest stays on the "
          "device.");
  section.no_effect("pin_memory", nullptr, "the CPU's copies need no pinned memory");
  for (const char* key : {"pipeline", "pipeline_read", "pipeline_write"})
    section.no_effect(key, nullptr, "an update always runs beside the copies of other pieces");
  section.no_effect("fast_init", false, "initial values are made where they will live");
  section.not_yet("super_offload", false, "updates by a second processor");
  section.no_effect("cpuadam_cores_perc", nullptr, "updates take turns with the rest of the step, on device.threads");

  Section& slices =
      zero.section("offload_param",
                   "Where each rank's slices of the working parameters lie between their gathers, at stage 3 and with "
                   "`offload_optimizer` (Rajbhandari et al. 2021). Changes no number.");
  slices.all_may_change();
  slices.choice<Tier>("device", parameters, {{"none", Tier::device}, {"cpu", Tier::host}, {"nvme", Tier::disk}})
      .about("none: on the device; cpu: in host memory; nvme: in the rank's file in `nvme_path`.");
  slices.key("nvme_path", parameter_nvme_path)
      .about("The same folder as `offload_optimizer.nvme_path`, or the only one that is named.");
  for (const char* key : {"buffer_count", "buffer_size", "max_in_cpu"})
    slices.no_effect(key, nullptr, "a slice that is fetched has a buffer of its size, and two are at a time");
  slices.no_effect("pin_memory", nullptr, "the CPU's copies need no pinned memory");
}

void OffloadConfig::declare_activations(Section& activations) {
  activations.key("cpu_checkpointing", activations_to_host)
      .about("Whether the inputs that are kept lie in host memory until backward comes by. Wants `enabled`.");
  activations.key("nvme_path", activation_nvme_path)
      .about(
          "They lie on disk instead, in the rank's file in this folder; the same one as "
          "`zero_optimization.offload_optimizer.nvme_path`. Ours. Wants `enabled`.");
}

void AioConfig::declare(Section& aio) {
  aio.all_may_change();
  aio.key("block_size", block_size)
      .accept([](std::size_t bytes) { return bytes >= 4096 && bytes <= (1u << 30) && bytes % 4096 == 0; },
              "a multiple of 4096, at most 1 GiB")
      .about("Bytes of a request, at most.");
  aio.key("queue_depth", queue_depth).between(1, 1024).about("Requests at a time, for each rank.");
  aio.no_effect("intra_op_parallelism", nullptr, "requests are asynchronous");
  aio.no_effect("single_submit", nullptr, "each request is submitted as soon as the queue has room");
  aio.no_effect("overlap_events", nullptr, "requests always overlap");
  aio.not_yet("use_gds", false, "reads and writes between a GPU and the disk");
}

}  // namespace tranche
