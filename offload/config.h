// What a job file says about where state lives when not on the device: "zero_optimization.offload_optimizer" and
// "offload_param".
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "runtime/device/device.h"

namespace tranche {

class Section;

// Reads and writes of the disk: DeepSpeed's "aio".
struct AioConfig {
  std::size_t block_size = std::size_t{1} << 20;  // bytes of a request, at most
  std::size_t queue_depth = 8;                    // requests at a time

  void declare(Section& aio);
};

struct OffloadConfig {
  Tier optimizer = Tier::device, parameters = Tier::device;
  std::size_t buffer_count = 4;           // pieces under way at a time
  double ratio = 1;                       // of the elements that leave the device
  std::size_t sub_group = 1'000'000'000;  // elements in a piece, at most

  bool activations_to_host = false;  // the inputs of units that recompute
  std::optional<std::string> nvme_path{}, parameter_nvme_path{}, activation_nvme_path{};  // one folder
  AioConfig aio;

  // The keys in "zero_optimization".
  void declare(Section& zero);
  // Those in "activation_checkpointing" that say where activations lie.
  void declare_activations(Section& activations);

  // Where units' inputs lie between forward and backward.
  Tier activations() const {
    if (activation_nvme_path) return Tier::disk;
    return activations_to_host ? Tier::host : Tier::device;
  }
  bool uses_host() const { return optimizer != Tier::device || activations() != Tier::device; }
  bool uses_disk() const { return optimizer == Tier::disk || parameters == Tier::disk || activations() == Tier::disk; }
  // Of the swap file; "" if no key names one.
  std::string swap_folder() const {
    return nvme_path.value_or(parameter_nvme_path.value_or(activation_nvme_path.value_or("")));
  }
};

}  // namespace tranche
