#include "launcher/plan.h"

#include <algorithm>
#include <optional>

#include "launcher/assemble.h"
#include "launcher/plan_text.h"
#include "runtime/comm/counting.h"
#include "runtime/device/shape_device.h"
#include "runtime/train/batches.h"
#include "runtime/train/loop.h"

namespace tranche {
namespace {

constexpr std::size_t most_ranks = 4096;  // that a remedy asks for

PlannedMemory peaks_of(Tier tier, const Ledger& ledger, std::size_t capacity) {
  PlannedMemory memory{.tier = tier, .peaks = {}, .peak = ledger.peak(), .capacity = capacity};
  for (std::size_t c = 0; c < category_count; ++c) memory.peaks[c] = ledger.peak(static_cast<Category>(c));
  return memory;
}

// A rank's share of a step, of shapes alone.
Batch batch_of_shapes(const Job& job, std::size_t rank, Device& device) {
  Batch batch;
  for (const std::size_t number : job.batch.deal.of_rank(rank))
    batch.push_back(unread_tensors(job.batch.micro_batch_size, job.data.sequence_length, number, device));
  return batch;
}

bool divides(std::size_t ranks, const Job& job) {
  return job.batch.deal.micro_batches % (ranks * job.batch.deal.block) == 0;
}

// One try at making a job fit.
class Search {
 public:
  Search(const Job& job, std::size_t ranks_on_host) : job_(job), hosts_hold_(ranks_on_host) {}

  // What else a remedy may change.
  struct Choice {
    bool recompute;
    bool offload = false;  // the optimizer, to the host
  };

  std::optional<Remedy> fits(std::size_t ranks, std::size_t stage, const Choice& choice) const {
    Remedy remedy{.overrides = {}, .ranks = ranks, .stage = stage};
    if (stage != job_.zero.stage) remedy.overrides.push_back(str("zero_optimization.stage=", stage));
    if (choice.offload) remedy.overrides.emplace_back("zero_optimization.offload_optimizer.device=cpu");
    if (choice.recompute != job_.train.recompute)
      remedy.overrides.emplace_back("activation_checkpointing.enabled=true");
    Job changed{stored_job(job_.effective(), "the job", remedy.overrides)};
    changed.settle(ranks);
    const Plan plan = make_plan(changed, hosts_hold_);
    if (!plan.fits()) return std::nullopt;
    remedy.peak = plan.device().peak;
    return remedy;
  }

  // The lowest stage, on as many ranks as the job has.
  std::optional<Remedy> first_stage(const Choice& choice, std::size_t from, std::size_t to) const {
    for (std::size_t stage = from; stage <= to; ++stage)
      if (const auto found = fits(job_.batch.deal.ranks, stage, choice)) return found;
    return std::nullopt;
  }
  // The lowest number of ranks above the job's, and below `limit`.
  std::optional<Remedy> first_ranks(std::size_t stage, const Choice& choice, std::size_t limit) const {
    const std::size_t most = std::min({job_.batch.deal.micro_batches, most_ranks, limit - 1});
    for (std::size_t ranks = job_.batch.deal.ranks + 1; ranks <= most; ++ranks)
      if (divides(ranks, job_))
        if (const auto found = fits(ranks, stage, choice)) return found;
    return std::nullopt;
  }

 private:
  const Job& job_;
  std::size_t hosts_hold_;
};

}  // namespace

TrafficByOp difference(const TrafficByOp& now, const TrafficByOp& before) {
  TrafficByOp sent;
  for (const auto& [op, traffic] : now) {
    const auto found = before.find(op);
    const Traffic earlier = found == before.end() ? Traffic{} : found->second;
    if (traffic.count != earlier.count) sent[op] = {traffic.count - earlier.count, traffic.bytes - earlier.bytes};
  }
  return sent;
}

std::vector<PlannedMemory> peaks_of(const Job& job, const Memory& memory) {
  std::vector<PlannedMemory> memories{peaks_of(Tier::device, memory.device.ledger(), job.device.capacity())};
  if (job.uses_host()) memories.push_back(peaks_of(Tier::host, memory.host.ledger(), job.device.host_capacity()));
  if (job.offload.uses_disk()) memories.push_back(peaks_of(Tier::disk, memory.disk.ledger(), Device::unlimited));
  return memories;
}

bool Plan::fits() const { return std::ranges::all_of(memories, &PlannedMemory::fits); }

Plan make_plan(const Job& job, std::size_t ranks_on_host) {
  const Doing frame{[&] { return str("planning for ", job.batch.deal.ranks, " ranks"); }};
  constexpr std::size_t rank = 0;  // every rank does the same
  ShapeDevice device, host{Device::unlimited, Tier::host};
  CountedDisk disk;
  const std::unique_ptr<Communicator> world = counting_communicator(rank, job.batch.deal.ranks, ranks_on_host, device);
  Assembly assembly{job, "", *world, {device, host, disk}};

  // Where every schedule of compression has ended.
  Trainer& trainer = assembly.trainer();
  const std::uint64_t before = job.compression.settled_after();
  trainer.restore(before, before, trainer.history().hex());
  Plan plan{.ranks = job.batch.deal.ranks, .memories = {}, .traffic = {}};
  TrafficByOp sent = world->traffic();
  for (bool steady = false; !steady;) {
    check(plan.steps < 16, "a step of this job is never like the one before");
    ++plan.steps;
    run_loop(trainer, before + plan.steps, 0, *world,
             {.batch = [&](std::uint64_t) { return batch_of_shapes(job, rank, device); },
              .report = [](const StepReport&, double) {},
              .save = {},
              .stop = [] { return false; }});
    const TrafficByOp traffic = difference(world->traffic(), sent);
    const std::vector<PlannedMemory> memories = peaks_of(job, {device, host, disk});
    steady = traffic == plan.traffic && memories == plan.memories;
    sent = world->traffic();
    plan.traffic = traffic;
    plan.memories = memories;
  }
  return plan;
}

std::vector<Remedy> find_remedies(const Job& job, std::size_t ranks_on_host) {
  const Search search{job, ranks_on_host};
  const std::size_t stage = job.zero.stage,
                    highest = job.train.reduction_block > 1 ? std::max<std::size_t>(stage, 1) : 3;
  const bool divided = job.batch.deal.ranks > 1;  // else every stage is the same
  std::vector<Remedy> found;
  const auto add = [&](std::optional<Remedy> remedy) {
    if (!remedy) return false;
    found.push_back(*std::move(remedy));
    return true;
  };
  std::size_t last = divided ? highest : stage;  // worth trying with recomputation
  const bool recomputes = job.train.recompute;
  if (add(search.first_stage({recomputes}, stage + 1, last))) last = found.back().stage - 1;
  if (!recomputes) add(search.first_stage({true}, stage, last));
  if (job.offload.optimizer == Tier::device &&
      !add(search.first_stage({recomputes, true}, stage, divided ? highest : stage)) && !recomputes)
    add(search.first_stage({true, true}, stage, divided ? highest : stage));
  const bool more_are_needed = found.empty();
  std::size_t limit = most_ranks + 1;
  if (add(search.first_ranks(stage, {recomputes}, limit))) limit = found.back().ranks;
  if (more_are_needed) add(search.first_ranks(highest, {true}, limit));
  return found;
}

void refuse_if_too_large(const Job& job, std::size_t ranks_on_host) {
  const Plan plan = make_plan(job, ranks_on_host);
  if (plan.fits()) return;
  fail(Exit::out_of_memory,
       str("out of memory: the plan of this job does not fit; nothing was started.\n", memory_table({&plan, 1}), "\n",
           plan.device().fits() ? "What may help the host: more ranks, a higher zero_optimization.stage, "
                                  "zero_optimization.offload_optimizer.device=nvme, or a larger device.host_memory."
                                : remedy_lines(find_remedies(job, ranks_on_host), job.device.capacity())));
}

}  // namespace tranche
