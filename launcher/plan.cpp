#include "launcher/plan.h"

#include <algorithm>

#include "launcher/assemble.h"
#include "runtime/comm/counting.h"
#include "runtime/device/shape_device.h"
#include "runtime/train/batches.h"
#include "runtime/train/loop.h"

namespace tranche {
namespace {

PlannedMemory peaks_of(Tier tier, const Ledger& ledger, std::size_t capacity) {
  PlannedMemory memory{.tier = tier, .peaks = {}, .peak = ledger.peak(), .capacity = capacity};
  for (std::size_t c = 0; c < category_count; ++c) memory.peaks[c] = ledger.peak(static_cast<Category>(c));
  memory.moment = ledger.moment_of_peak();
  return memory;
}

// A rank's share of a step, of shapes alone.
Batch batch_of_shapes(const Job& job, std::size_t rank, Device& device) {
  Batch batch;
  for (const std::size_t number : job.batch.deal.of_rank(rank))
    batch.push_back(unread_tensors(job.batch.micro_batch_size, job.data.sequence_length, number, device));
  return batch;
}

// What was being done, less the step, which in a plan is any.
std::string moment() {
  std::string text;
  for (const std::string& frame : open_frames())
    if (!frame.starts_with("training step") && !frame.starts_with("planning"))
      text += (text.empty() ? "" : ", ") + frame;
  return text.empty() ? "ending the step" : text;
}

CheckpointSize size_of(const checkpoint::ModelState& held, const Job& job) {
  CheckpointSize size;
  const std::size_t bytes = held.kinds.size() * sizeof(float);
  for (const checkpoint::UnitLayout& unit : held.units) {
    size.whole += bytes * unit.size();
    size.of_rank += bytes * std::min(checkpoint::share_of(unit.size(), job.batch.deal.ranks), unit.size());
  }
  return size;
}

bool same(const std::vector<PlannedMemory>& a, const std::vector<PlannedMemory>& b) {
  return std::ranges::equal(a, b, [](const PlannedMemory& x, const PlannedMemory& y) {
    return x.tier == y.tier && x.peaks == y.peaks && x.peak == y.peak;
  });
}

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
  const bool stages = &memory.device.staging() == &memory.host;  // a GPU, whatever the job said
  if (job.uses_host() || stages)
    memories.push_back(peaks_of(Tier::host, memory.host.ledger(), job.device.host_capacity()));
  if (job.offload.uses_disk()) memories.push_back(peaks_of(Tier::disk, memory.disk.ledger(), Device::unlimited));
  return memories;
}

Disk::Traffic difference(const Disk::Traffic& now, const Disk::Traffic& before) {
  return {now.read - before.read, now.written - before.written};
}

std::size_t Plan::peak(Tier tier) const {
  const auto found = std::ranges::find(memories, tier, &PlannedMemory::tier);
  return found == memories.end() ? 0 : found->peak;
}

bool Plan::fits() const { return std::ranges::all_of(memories, &PlannedMemory::fits); }

Plan make_plan(const Job& job, std::size_t ranks_on_host) {
  const Doing frame{[&] { return str("planning for ", job.batch.deal.ranks, " ranks"); }};
  constexpr std::size_t rank = 0;  // every rank does the same
  // A GPU's memory is nobody else's, and what passes between it and the host goes through memory of the host.
  const bool on_gpus = job.device.type == DeviceConfig::Type::cuda;
  ShapeDevice device, host{Device::unlimited, Tier::host};
  if (on_gpus) device.stage_in(host);
  for (Device* each : {&device, &host}) each->ledger().note_moments(moment);
  CountedDisk disk;
  const std::unique_ptr<Communicator> world =
      counting_communicator(rank, job.batch.deal.ranks, on_gpus ? Reach{1, true} : Reach{ranks_on_host}, device);
  Assembly assembly{job, "", *world, {device, host, disk}};

  // Where every schedule of compression has ended.
  Trainer& trainer = assembly.trainer();
  const std::uint64_t before = job.compression.settled_after();
  trainer.restore(before, before, trainer.history().hex());
  Plan plan{.ranks = job.batch.deal.ranks, .memories = {}, .traffic = {}};
  TrafficByOp sent = world->traffic();
  Disk::Traffic moved = disk.traffic();
  for (bool steady = false; !steady;) {
    check(plan.steps < 16, "a step of this job is never like the one before");
    ++plan.steps;
    run_loop(trainer, before + plan.steps, 0, *world,
             {.batch = [&](std::uint64_t) { return batch_of_shapes(job, rank, device); },
              .report = [](const StepReport&, double) {},
              .save = {},
              .stop = [] { return false; }});
    const TrafficByOp traffic = difference(world->traffic(), sent);
    const Disk::Traffic to_and_fro = difference(disk.traffic(), moved);
    const std::vector<PlannedMemory> memories = peaks_of(job, {device, host, disk});
    steady = traffic == plan.traffic && to_and_fro == plan.disk && same(memories, plan.memories);
    sent = world->traffic();
    moved = disk.traffic();
    plan.traffic = traffic;
    plan.disk = to_and_fro;
    plan.memories = memories;
  }
  plan.checkpoint = size_of(assembly.replica().held(), job);
  return plan;
}

}  // namespace tranche
