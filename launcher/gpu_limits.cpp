#include "launcher/gpu_limits.h"

#include "launcher/job.h"

namespace tranche {

// By what the job says rather than by what is known today: a technique that comes later is refused too, until its host
// code reads through the device.
void check_gpus_can(const Job& job) {
  const Json asked = job.effective(), usual = Job{}.effective();
  const auto refuse = [](bool is_asked, const std::string& key) {
    ensure(Exit::job_file, !is_asked, "\"", key, "\" is not computed on GPUs yet: set \"device.type\" to \"cpu\"");
  };
  for (const auto& [name, technique] : asked.at("compression_training").items())
    if (const auto shared = technique.find("shared_parameters"); shared != technique.end())
      refuse(shared->value("enabled", false), "compression_training." + name);
  refuse(asked.at("distillation") != usual.at("distillation"), "distillation");
}

}  // namespace tranche
