#include "launcher/plan_text.h"

#include <algorithm>
#include <vector>

#include "launcher/progress.h"
#include "launcher/table.h"

namespace tranche {
namespace {
std::string_view assumed_device(DeviceConfig::Type type) {
  switch (type) {
    case DeviceConfig::Type::cpu: return "";
    case DeviceConfig::Type::cuda: return ", on GPUs";
    case DeviceConfig::Type::automatic: break;
  }
  return ", on the CPU (device.type is auto: --set device.type=cuda plans for GPUs)";
}
}  // namespace

std::string describe(const Job& job) {
  const BatchPlan& batch = job.batch;
  return str(job.model_config.type, " of ", count_text(static_cast<double>(job.make_model()->parameters())),
             " parameters, ", name_of(job.amp.precision().working), ", ZeRO stage ", job.zero.stage,
             job.train.recompute ? ", recomputing activations" : "", "; a step is ", batch.deal.micro_batches,
             " micro-batches of ", batch.micro_batch_size, " x ", job.data.sequence_length, " tokens",
             assumed_device(job.device.type));
}

std::string memory_table(std::span<const Plan> plans) {
  std::vector<Row> rows{{"ranks", "memory"}};
  for (std::size_t c = 0; c < category_count; ++c) rows[0].emplace_back(name_of(static_cast<Category>(c)));
  for (const char* title : {"total", ""}) rows[0].emplace_back(title);
  for (const Plan& plan : plans)
    for (const PlannedMemory& memory : plan.memories) {
      Row row{std::to_string(plan.ranks), std::string{name_of(memory.tier)}};
      for (const std::size_t bytes : memory.peaks) row.push_back(bytes == 0 ? "-" : in_units(bytes));
      row.push_back(in_units(memory.peak));
      const bool limited = memory.capacity != Device::unlimited;
      row.push_back(!limited ? "" : (memory.fits() ? "fits in " : "exceeds ") + in_units(memory.capacity));
      rows.push_back(std::move(row));
    }
  return "Each rank holds at the peak (total: at one moment, so at most the sum):\n" + aligned(rows, 2);
}

std::string traffic_table(std::span<const Plan> plans) {
  std::vector<Row> rows{{"ranks", "collective", "count", "bytes sent", ""}};
  for (const Plan& plan : plans)
    for (const auto& [op, traffic] : plan.traffic)
      rows.push_back({std::to_string(plan.ranks), std::string{op}, std::to_string(traffic.count),
                      std::to_string(traffic.bytes), in_units(traffic.bytes)});
  return "Each rank issues in a step:\n" + aligned(rows, 2);
}

std::string moment_lines(std::span<const Plan> plans) {
  std::string text = "The peaks come while";
  for (const Plan& plan : plans)
    for (const PlannedMemory& memory : plan.memories)
      if (!memory.moment.empty())
        text += str("\n  ", plan.ranks, plan.ranks == 1 ? " rank, " : " ranks, ", name_of(memory.tier), ": ",
                    memory.moment);
  return text;
}

std::string storage_lines(std::span<const Plan> plans) {
  std::string text;
  for (const Plan& plan : plans)
    if (plan.disk != Disk::Traffic{})
      text += str("Each of ", plan.ranks, plan.ranks == 1 ? " rank" : " ranks", " reads ", in_units(plan.disk.read),
                  " of its disk in a step, and writes ", in_units(plan.disk.written), ".\n");
  text += str("A checkpoint has ", in_units(plans.front().checkpoint.whole), " of tensors; each rank writes at most");
  for (std::size_t i = 0; i < plans.size(); ++i)
    text += str(i == 0 ? " " : ", ", in_units(plans[i].checkpoint.of_rank), " of ", plans[i].ranks);
  return text + ".";
}

std::string choice_table(const Job& job, std::span<const ChoiceRow> rows) {
  const auto where = [](Tier tier) { return std::string{name_of(tier)}; };
  const bool limited = job.device.memory != 0 || job.device.host_memory != 0;
  std::vector<Row> lines{{"stage", "optimizer", "parameters", "device", "", "recomputed", "", "host", "disk"}};
  for (const ChoiceRow& row : rows) {
    const auto cell = [](std::size_t bytes) { return bytes == 0 ? std::string{"-"} : in_units(bytes); };
    const auto mark = [&](const Plan& plan) { return limited && plan.fits() ? std::string{"fits"} : std::string{}; };
    lines.push_back({std::to_string(row.choice.stage), where(row.choice.optimizer), where(row.choice.parameters),
                     cell(row.kept.device().peak), mark(row.kept), cell(row.recomputed.device().peak),
                     mark(row.recomputed), cell(row.kept.peak(Tier::host)), cell(row.kept.peak(Tier::disk))});
  }
  const std::size_t ranks = job.batch.deal.ranks;
  return str("Stages and tiers on ", ranks, ranks == 1 ? " rank" : " ranks",
             " (where the optimizer's state and slices of parameters are; the device's peak, also with activations "
             "recomputed):\n",
             aligned(lines, 3));
}

std::string remedy_lines(std::span<const Remedy> remedies, const Job& job) {
  std::string capacity = job.device.memory != 0 ? in_units(job.device.capacity()) : "";
  if (job.uses_host() && job.device.host_memory != 0)
    capacity += str(capacity.empty() ? "" : " and ", in_units(job.device.host_capacity()), " of the host");
  if (remedies.empty())
    return str(
        "Neither higher stages nor recomputation nor offload nor more ranks, as many as the step's micro-batches ",
        "allow, fit in ", capacity,
        ": a smaller train_micro_batch_size_per_gpu, or a larger device.memory or device.host_memory.");
  std::string text = str("What fits in ", capacity, ":");
  for (const Remedy& remedy : remedies) {
    text += str("\n  ", remedy.ranks, remedy.ranks == 1 ? " rank" : " ranks");
    for (const std::string& each : remedy.overrides) text += " --set " + each;
    text += str(": ", in_units(remedy.plan.device().peak));
    for (const Tier tier : {Tier::host, Tier::disk})
      if (const std::size_t peak = remedy.plan.peak(tier); peak != 0)
        text += str(", ", in_units(peak), tier == Tier::host ? " of the host" : " of the disk");
  }
  return text;
}

}  // namespace tranche
