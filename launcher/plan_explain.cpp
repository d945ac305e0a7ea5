#include "launcher/plan_explain.h"

#include <algorithm>
#include <cmath>

#include "launcher/progress.h"
#include "launcher/table.h"

namespace tranche {
namespace {

// A formula, and its value in bytes where it is closed.
struct Reason {
  std::string text;
  double bytes = -1;
};

class Explanation {
 public:
  Explanation(const Job& job, const Plan& plan) : job_(job), plan_(plan) {
    const std::unique_ptr<Model> model = job.make_model();
    for (const Unit& unit : model->units()) {
      parameters_ += static_cast<double>(unit.size());
      largest_ = std::max(largest_, static_cast<double>(unit.size()));
      ++units_;
    }
    ranks_ = static_cast<double>(plan.ranks);
    width_ = static_cast<double>(bytes_of(job.amp.precision().working));
    kinds_ = std::round(static_cast<double>(plan.checkpoint.whole) / (4 * parameters_));
  }

  std::string text() const {
    std::vector<Row> rows;
    for (const PlannedMemory& memory : plan_.memories)
      for (std::size_t c = 0; c < category_count; ++c)
        if (memory.peaks[c] != 0) {
          const auto category = static_cast<Category>(c);
          rows.push_back(row(name_of(memory.tier), name_of(category), in_units(memory.peaks[c]),
                             of_memory(memory.tier, category)));
        }
    for (const auto& [op, traffic] : plan_.traffic)
      rows.push_back(row(op, str(traffic.count, traffic.count == 1 ? " time" : " times"), in_units(traffic.bytes),
                         of_collective(op)));
    if (plan_.disk != Disk::Traffic{})
      rows.push_back(row("disk", "in a step", in_units(plan_.disk.read + plan_.disk.written), of_disk()));
    rows.push_back(row("checkpoint", "tensors", in_units(plan_.checkpoint.whole),
                       {str("4 x ", kinds_, " P: masters", kinds_ > 1 ? " and moments in float32" : " in float32"),
                        4 * kinds_ * parameters_}));
    return str("Where the figures come from, ", plan_.ranks, plan_.ranks == 1 ? " rank" : " ranks",
               ": P = ", count_text(parameters_), " parameters in ", units_,
               " units, the largest U = ", count_text(largest_), "; N = ", plan_.ranks, " ranks; b = ", width_,
               " bytes (", name_of(job_.amp.precision().working), "); m = ", job_.batch.deal.per_rank(),
               " micro-batches on each rank.\n", aligned(rows, 2));
  }

 private:
  static Row row(std::string_view what, std::string_view which, const std::string& bytes, const Reason& reason) {
    const std::string value = reason.bytes < 0 ? "" : str(" = ", in_units(static_cast<std::size_t>(reason.bytes)));
    return {std::string{what}, std::string{which}, bytes, "  " + reason.text + value};
  }

  bool sharded_state() const { return job_.zero.stage >= 1; }
  double share() const { return sharded_state() ? ranks_ : 1; }
  const char* over() const { return sharded_state() ? " / N" : ""; }

  Reason of_memory(Tier tier, Category category) const {
    switch (category) {
      case Category::parameters: return tier == Tier::device ? working() : slices();
      case Category::gradients: return tier == Tier::device ? gradients() : sums();
      case Category::optimizer: return state(tier);
      case Category::activations:
        if (tier != Tier::device)
          return {job_.offload.activations() == Tier::device ? "a micro-batch's tokens on their way to a GPU; counted"
                                                             : "each unit's input, of one micro-batch; counted"};
        return {job_.train.recompute
                    ? "each unit's input, and what one unit's forward keeps, of one micro-batch; counted"
                    : "what forward keeps for backward, of one micro-batch; counted"};
      case Category::communication:
        return {tier == Tier::device
                    ? "what is received from ranks of other hosts, or on its way between tiers; counted"
                    : "buffers of what is on its way between tiers; counted"};
      case Category::workspace: return {"what kernels ask for while they run; counted"};
    }
    return {};
  }

  Reason working() const {
    if (job_.zero.stage < 3 || (plan_.ranks == 1 && job_.offload.parameters == Tier::device))
      return {"b P: the working copy, whole", width_ * parameters_};
    if (job_.offload.parameters != Tier::device)
      return {"b U for each unit that is gathered, which is up to two, and a tied one; the slices are elsewhere"};
    return {"b P / N: slices; and b U for each unit that is gathered, which is up to two, and a tied one"};
  }
  Reason slices() const { return {"b P / N: slices of the working copy", width_ * parameters_ / ranks_}; }

  Reason gradients() const {
    std::string text = "b U for the unit in backward, and for the one whose reduction is under way";
    if (job_.offload.optimizer == Tier::device) {
      text = "4 P / N: sums; and " + text;
      if (job_.zero.stage == 0 && plan_.ranks > 1) text += "; at the end 4 P: the gathered sums";
    }
    return {text};
  }
  Reason sums() const { return {str("4 P", over(), ": sums in float32"), 4 * parameters_ / share()}; }

  Reason state(Tier tier) const {
    const bool separate = job_.amp.precision().keeps_master() || job_.offload.optimizer != Tier::device;
    const double kinds = separate ? kinds_ : kinds_ - 1;
    const bool copied = tier == Tier::host && job_.checkpoint.asynchronous;
    const double copies = copied && job_.offload.optimizer == Tier::host ? 2 : 1;
    return {str("4 x ", kinds, copied ? (copies == 2 ? " x 2" : "") : "", " P", over(), ": ",
                separate ? "masters and moments" : "moments; masters are the working copy",
                copied ? ", and a copy for checkpoints" : "", " in float32"),
            job_.offload.ratio == 1 ? 4 * kinds * copies * parameters_ / share() : -1};
  }

  Reason of_collective(std::string_view op) const {
    const double others = (ranks_ - 1) / ranks_, micro = static_cast<double>(job_.batch.deal.per_rank());
    if (op == "exchange") {
      const double blocks = micro / static_cast<double>(job_.batch.deal.block);
      return {str("each unit's gradient, once for each ", job_.batch.deal.block > 1 ? "block of " : "",
                  "micro-batch: m x ", job_.batch.deal.block > 1 ? "4" : "b", " P (N - 1) / N"),
              blocks * (job_.batch.deal.block > 1 ? 4 : width_) * parameters_ * others};
    }
    if (op == "all_gather" && job_.zero.stage == 3)
      return {"a unit's slice for each of its visits, forward and backward, to N - 1 ranks: about 2 m b P (N - 1) / N",
              2 * micro * width_ * parameters_ * others};
    if (op == "all_gather" && job_.zero.stage == 0)
      return {"the sums, once a step: 4 P (N - 1) / N", 4 * parameters_ * others};
    if (op == "all_gather") return {"updated slices, once a step: b P (N - 1) / N", width_ * parameters_ * others};
    if (op == "gather") return {"losses, and partial sums of the norm"};
    return {"a word between ranks"};
  }

  Reason of_disk() const {
    std::string text;
    if (job_.offload.optimizer == Tier::disk) text = "masters and moments, read and written once";
    if (job_.offload.parameters == Tier::disk)
      text += str(text.empty() ? "" : "; ", "slices, written once and read for each gather");
    if (job_.offload.activations() == Tier::disk)
      text += str(text.empty() ? "" : "; ", "each unit's input, written and read once for each micro-batch");
    return {text};
  }

  const Job& job_;
  const Plan& plan_;
  double parameters_ = 0, largest_ = 0, ranks_ = 1, width_ = 4, kinds_ = 3;
  std::size_t units_ = 0;
};

}  // namespace

std::string explain(const Job& job, const Plan& plan) { return Explanation{job, plan}.text(); }

}  // namespace tranche
