#include "launcher/gpu_limits.h"

#include "launcher/job.h"

namespace tranche {

void check_gpus_can(const Job& job) {
  const auto refuse = [](bool asked, const char* key) {
    ensure(Exit::job_file, !asked, "\"", key, "\" is not computed on GPUs yet: set \"device.type\" to \"cpu\"");
  };
  const compress::CompressConfig& compression = job.compression;
  refuse(compression.weights.enabled, "compression_training.weight_quantization");
  refuse(compression.inputs.enabled, "compression_training.activation_quantization");
  refuse(compression.pruning.enabled, "compression_training.sparse_pruning");
  refuse(!job.distillation.teachers.empty(), "distillation");
}

}  // namespace tranche
