#include "launcher/choices.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "launcher/plan_text.h"
#include "runtime/device/cpu/thread_pool.h"

namespace tranche {
namespace {

constexpr std::size_t most_ranks = 4096;  // that a remedy asks for

const char* name_in_job(Tier tier) { return tier == Tier::disk ? "nvme" : (tier == Tier::host ? "cpu" : "none"); }

Choice own_choice(const Job& job) {
  return {job.zero.stage, job.offload.optimizer, job.offload.parameters, job.train.recompute};
}

std::size_t highest_stage(const Job& job) {
  return job.train.reduction_block > 1 ? std::max<std::size_t>(job.zero.stage, 1) : 3;
}

bool divides(std::size_t ranks, const Job& job) {
  return job.batch.deal.micro_batches % (ranks * job.batch.deal.block) == 0;
}

// Tries at making a job fit.
class Search {
 public:
  Search(const Job& job, std::size_t ranks_on_host) : job_(job), hosts_hold_(ranks_on_host) {}

  std::optional<Remedy> fits(std::size_t ranks, const Choice& choice) const {
    Plan plan = plan_of(job_, choice, ranks, hosts_hold_);
    if (!plan.fits()) return std::nullopt;
    return Remedy{changes(job_, choice), ranks, choice.stage, std::move(plan)};
  }
  // The lowest stage from the choice's on, on as many ranks as the job has.
  std::optional<Remedy> first_stage(Choice choice, std::size_t last) const {
    for (; choice.stage <= last; ++choice.stage)
      if (auto found = fits(job_.batch.deal.ranks, choice)) return found;
    return std::nullopt;
  }
  // The lowest number of ranks above the job's, and below `limit`.
  std::optional<Remedy> first_ranks(const Choice& choice, std::size_t limit) const {
    const std::size_t most = std::min({job_.batch.deal.micro_batches, most_ranks, limit - 1});
    for (std::size_t ranks = job_.batch.deal.ranks + 1; ranks <= most; ++ranks)
      if (divides(ranks, job_))
        if (auto found = fits(ranks, choice)) return found;
    return std::nullopt;
  }

 private:
  const Job& job_;
  std::size_t hosts_hold_;
};

}  // namespace

std::vector<std::string> changes(const Job& job, const Choice& choice) {
  const std::string zero = "zero_optimization.", state = zero + "offload_optimizer.", slices = zero + "offload_param.";
  std::vector<std::string> found;
  const auto change = [&](bool changes, const std::string& key, const auto& value) {
    if (changes) found.push_back(str(key, "=", value));
  };
  change(choice.stage != job.zero.stage, zero + "stage", choice.stage);
  change(choice.optimizer != job.offload.optimizer, state + "device", name_in_job(choice.optimizer));
  change(choice.parameters != job.offload.parameters, slices + "device", name_in_job(choice.parameters));
  const bool swaps = choice.optimizer == Tier::disk || choice.parameters == Tier::disk;
  const bool named = job.offload.nvme_path || job.offload.parameter_nvme_path ||
                     (choice.recompute && job.offload.activation_nvme_path);
  change(swaps && !named, state + "nvme_path", "PATH");
  change(job.offload.ratio != 1 && (choice.optimizer == Tier::disk || choice.parameters != Tier::device),
         state + "ratio", 1);
  change(choice.recompute != job.train.recompute, "activation_checkpointing.enabled",
         choice.recompute ? "true" : "false");
  if (!choice.recompute) {  // then there is nothing to spill
    change(job.offload.activations_to_host, "activation_checkpointing.cpu_checkpointing", "false");
    change(job.offload.activation_nvme_path.has_value(), "activation_checkpointing.nvme_path", "null");
  }
  return found;
}

Plan plan_of(const Job& job, const Choice& choice, std::size_t ranks, std::size_t ranks_on_host) {
  Job changed{stored_job(job.effective(), "the job", changes(job, choice))};
  changed.settle(ranks);
  return make_plan(changed, ranks_on_host);
}

std::vector<ChoiceRow> plan_choices(const Job& job, std::size_t ranks_on_host) {
  const std::size_t ranks = job.batch.deal.ranks, highest = highest_stage(job);
  const bool alone = ranks == 1;
  std::vector<ChoiceRow> rows;
  const auto add = [&](const Choice& choice) { rows.push_back({choice, {}, {}}); };
  const std::size_t own = job.zero.stage;
  for (std::size_t stage = alone ? own : 0; stage <= (alone ? own : highest); ++stage)
    for (const Tier optimizer : {Tier::device, Tier::host, Tier::disk}) add({stage, optimizer, Tier::device, false});
  if (highest == 3)
    for (const Tier tier : {Tier::host, Tier::disk}) add({3, tier, tier, false});

  // Of a trillion parameters a plan takes a tenth of a second; it shares nothing with another.
  ThreadPool pool{std::max(std::thread::hardware_concurrency(), 1u)};
  pool.run(2 * rows.size(), [&](std::size_t i) {
    ChoiceRow& row = rows[i / 2];
    const bool recompute = i % 2 == 1;
    Choice choice = row.choice;
    choice.recompute = recompute;
    (recompute ? row.recomputed : row.kept) = plan_of(job, choice, ranks, ranks_on_host);
  });
  return rows;
}

std::vector<Remedy> find_remedies(const Job& job, std::size_t ranks_on_host) {
  const Search search{job, ranks_on_host};
  const Choice own = own_choice(job);
  const std::size_t stage = own.stage, highest = highest_stage(job);
  const bool divided = job.batch.deal.ranks > 1;  // else every stage is the same
  std::vector<Remedy> found;
  const auto add = [&](std::optional<Remedy> remedy) {
    if (!remedy) return false;
    found.push_back(*std::move(remedy));
    return true;
  };
  const auto with = [&](bool recompute, Tier optimizer) {
    Choice choice = own;
    choice.recompute = recompute;
    choice.optimizer = std::max(optimizer, own.optimizer);
    return choice;
  };
  const std::size_t last = divided ? highest : stage;
  std::size_t worth = last;  // trying with recomputation
  Choice higher = own;
  ++higher.stage;
  if (add(search.first_stage(higher, last))) worth = found.back().stage - 1;
  if (!own.recompute) add(search.first_stage(with(true, own.optimizer), worth));
  for (const Tier tier : {Tier::host, Tier::disk})
    if (own.optimizer < tier && (add(search.first_stage(with(own.recompute, tier), last)) ||
                                 (!own.recompute && add(search.first_stage(with(true, tier), last)))))
      break;
  const bool more_are_needed = found.empty();
  std::size_t limit = most_ranks + 1;
  if (add(search.first_ranks(own, limit))) limit = found.back().ranks;
  if (more_are_needed) {
    Choice all = with(true, own.optimizer);
    all.stage = highest;
    add(search.first_ranks(all, limit));
  }
  return found;
}

namespace {
std::string advice(const Job& job, const Plan& plan, std::size_t ranks_on_host) {
  std::string text = str(memory_table({&plan, 1}), "\n", choice_table(job, plan_choices(job, ranks_on_host)));
  if (!plan.fits()) text += str("\n", remedy_lines(find_remedies(job, ranks_on_host), job));
  return text;
}
}  // namespace

std::string memory_advice(const Job& job, std::size_t ranks_on_host) {
  return str("The plan of this job (tranche plan):\n", advice(job, make_plan(job, ranks_on_host), ranks_on_host));
}

void refuse_if_too_large(const Job& job, std::size_t ranks_on_host) {
  const Plan plan = make_plan(job, ranks_on_host);
  if (plan.fits()) return;
  fail(Exit::out_of_memory, str("out of memory: the plan of this job does not fit; nothing was started.\n",
                                advice(job, plan, ranks_on_host)));
}

}  // namespace tranche
