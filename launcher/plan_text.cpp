#include "launcher/plan_text.h"

#include <algorithm>
#include <vector>

#include "launcher/progress.h"

namespace tranche {
namespace {

using Row = std::vector<std::string>;

// The first `left` columns begin at their left, the others end at their right.
std::string aligned(const std::vector<Row>& rows, std::size_t left) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string space(widths[c] - row[c].size(), ' ');
      line += "  " + (c < left ? row[c] + space : space + row[c]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  text.pop_back();
  return text;
}

}  // namespace

std::string describe(const Job& job) {
  const BatchPlan& batch = job.batch;
  return str(job.model_config.type, " of ", count_text(static_cast<double>(job.make_model()->parameters())),
             " parameters, ", name_of(job.amp.precision().working), ", ZeRO stage ", job.zero.stage,
             job.train.recompute ? ", recomputing activations" : "", "; a step is ", batch.deal.micro_batches,
             " micro-batches of ", batch.micro_batch_size, " x ", job.data.sequence_length, " tokens");
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

std::string remedy_lines(std::span<const Remedy> remedies, std::size_t capacity) {
  if (remedies.empty())
    return str(
        "Neither higher stages nor recomputation nor offload nor more ranks, as many as the step's micro-batches "
        "allow, fit "
        "in ",
        in_units(capacity), ": a smaller train_micro_batch_size_per_gpu, or a larger device.memory.");
  std::string text = str("What fits in ", in_units(capacity), ":");
  for (const Remedy& remedy : remedies) {
    text += str("\n  ", remedy.ranks, remedy.ranks == 1 ? " rank" : " ranks");
    for (const std::string& each : remedy.overrides) text += " --set " + each;
    text += str(": ", in_units(remedy.peak));
  }
  return text;
}

}  // namespace tranche
