#include "launcher/assemble.h"

#include <algorithm>

#include "amp/config.h"
#include "compress/block_names.h"
#include "compress/exits.h"
#include "compress/peer.h"
#include "launcher/teacher.h"
#include "offload/disk_activations.h"
#include "offload/disk_placement.h"
#include "offload/disk_slices.h"
#include "offload/host_activations.h"
#include "offload/host_placement.h"
#include "offload/host_slices.h"
#include "partition/canonical_sync.h"
#include "partition/fast_sync.h"
#include "partition/partitioned_store.h"
#include "runtime/base/log.h"
#include "runtime/base/trace.h"
#include "runtime/ops/instruction_path.h"
#include "runtime/ops/reduce.h"

namespace tranche {
namespace {

// Null: slices lie on the device.
std::unique_ptr<SlicePlacement> make_slices(const Job& job, const Memory& memory) {
  if (job.offload.parameters == Tier::disk)
    return std::make_unique<DiskSlices>(memory.device, memory.host, memory.disk);
  if (job.offload.parameters == Tier::host) return std::make_unique<HostSlices>(memory.device, memory.host);
  return nullptr;
}

std::unique_ptr<ParameterStore> make_store(const Job& job, SlicePlacement* away, Communicator& world, Device& device) {
  const Precision precision = job.amp.precision();
  const bool whole = job.zero.stage == 0 || (world.size() == 1 && away == nullptr);
  if (whole) return std::make_unique<ResidentStore>(device, precision, world.size() * ops::block);
  return std::make_unique<PartitionedStore>(job.zero, precision, world, device, away);
}

std::unique_ptr<OptimizerPlacement> make_placement(const Job& job, const Memory& memory) {
  const Precision precision = job.amp.precision();
  const DType gradients =
      job.train.reduction_block > 1 ? DType::float32 : precision.working;  // a block's sum, or its own
  if (job.offload.optimizer == Tier::disk)
    return std::make_unique<DiskPlacement>(job.offload, precision, gradients, memory.device, memory.host, memory.disk);
  if (job.offload.optimizer == Tier::host)
    return std::make_unique<HostPlacement>(job.offload, precision, gradients, memory.device, memory.host);
  return std::make_unique<ResidentPlacement>(precision);
}

std::unique_ptr<GradientSync> make_sync(const Job& job, SumPlacement& sums, Communicator& world) {
  if (world.size() == 1) return std::make_unique<LocalSync>(sums, job.train.reduction_block);
  if (job.train.reduction == Reduction::fast)
    return std::make_unique<FastSync>(job.zero, job.train.reduction_block, sums, world);
  return std::make_unique<CanonicalSync>(job.zero, job.train.reduction_block, sums, world);
}

std::unique_ptr<ActivationPolicy> make_activations(const Job& job, const Memory& memory) {
  if (job.offload.activations() == Tier::disk)
    return std::make_unique<DiskActivations>(memory.device, memory.host, memory.disk);
  if (job.offload.activations() == Tier::host) return std::make_unique<HostActivations>(memory.device, memory.host);
  if (job.train.recompute) return std::make_unique<RecomputeActivations>();
  return std::make_unique<ActivationPolicy>();
}

checkpoint::UnitLayout layout_of(const Unit& unit) {
  checkpoint::UnitLayout layout{unit.name(), {}};
  for (const Parameter* parameter : unit.parameters()) layout.tensors.push_back({parameter->name, parameter->shape});
  return layout;
}

checkpoint::Peers peers_of(Communicator& ranks) {
  return {ranks.rank(), ranks.size(),
          [&ranks](const std::string& mine) { return ranks.gather_text(mine, "checkpoint"); }};
}

// The model's, without moments.
checkpoint::ModelState parameters_of(checkpoint::ModelState state) {
  state.kinds.resize(1);
  while (compress::is_beside_the_model(state.units.back().name)) {  // they lie behind the model's units
    state.units.pop_back();
    state.slices.pop_back();
  }
  for (auto& kinds : state.slices) kinds.resize(1);
  return state;
}

bool is_step_sizes(const checkpoint::StateTensor& tensor) { return compress::is_step_sizes(tensor.name); }

// Without step sizes, which lie behind a unit's other tensors.
checkpoint::ModelState without_step_sizes(checkpoint::ModelState state) {
  for (checkpoint::UnitLayout& unit : state.units) std::erase_if(unit.tensors, is_step_sizes);
  return state;
}

bool has_step_sizes(const std::filesystem::path& folder) {
  const checkpoint::Manifest manifest = checkpoint::read_manifest(folder);
  return std::ranges::any_of(manifest.units, [](const checkpoint::UnitLayout& unit) {
    return std::ranges::any_of(unit.tensors, is_step_sizes);
  });
}

std::string kind_of(const Device& device) { return device.type() == DeviceType::cuda ? "cuda" : "cpu"; }

const std::string scaler_prefix = "scaler.", compression_prefix = "compression.";

// Those whose name begins so, by the rest of it.
NamedNumbers numbers_after(const std::string& prefix, const checkpoint::JobState& state) {
  NamedNumbers numbers;
  for (const auto& [name, value] : state.logical)
    if (name.starts_with(prefix)) numbers[name.substr(prefix.size())] = std::get<double>(value);
  return numbers;
}

}  // namespace

Replica::Replica(const Job& job, Communicator& world, const Memory& memory, Instead instead)
    : world_(world),
      device_(memory.device),
      model_(job.make_model()),
      slices_(make_slices(job, memory)),
      parameters_(std::make_unique<ShownStore>(make_store(job, slices_.get(), world, memory.device))),
      placement_(instead.placement ? std::move(instead.placement) : make_placement(job, memory)),
      gradients_(make_sync(job, placement_->sums(), world)),
      activations_(make_activations(job, memory)),
      quantization_(job.compression, job.batch.deal, world),
      seams_{*parameters_, instead.gradients != nullptr ? *instead.gradients : *gradients_, quantization_.weights(),
             instead.activations != nullptr ? *instead.activations : *activations_,
             instead.linears != nullptr ? *instead.linears : quantization_.inputs()} {
  const Doing frame{[] { return std::string{"assembling the model"}; }};
  quantization_.weights().steps().join(model_->units());
  quantization_.inputs().steps().join(model_->units());
  for (Unit& unit : model_->units()) parameters_->adopt(unit, seams_);
  for (Unit* unit : instead.beside) parameters_->adopt(*unit, seams_);
  placement_->adopt(owned(), job.train.seed);
  placement_->when_updated([this](Unit& unit) { parameters_->begin_publish(unit); });
  parameters_->publish();
}

void Replica::publish() {
  placement_->round();
  parameters_->publish();
}

checkpoint::ModelState Replica::held() const {
  checkpoint::ModelState state;
  state.kinds = placement_->kinds();
  for (std::size_t u = 0; u < owned().size(); ++u) {
    state.units.push_back(layout_of(*owned()[u].unit));
    auto& slices = state.slices.emplace_back();
    for (std::size_t kind = 0; kind < state.kinds.size(); ++kind)
      slices.push_back(
          {.first = owned()[u].first,
           .count = owned()[u].size,
           .stays = placement_->in_memory(),
           .borrow =
               [this, kind, u] {
                 const Tensor whole = placement_->borrow(kind, u);
                 return checkpoint::Borrowed{whole.span<float>(), whole.shared_storage()};
               },
           .keep = [this, kind,
                    u](const checkpoint::Borrowed& written) { placement_->give_back(kind, u, written.elements); }});
  }
  return state;
}

checkpoint::Peers Replica::peers() { return peers_of(world_); }

void Replica::load_some_parameters(const std::filesystem::path& folder,
                                   const std::function<std::string(const std::string&)>& name_there) {
  checkpoint::ModelState state = without_step_sizes(parameters_of(held()));
  for (checkpoint::UnitLayout& unit : state.units)
    for (checkpoint::StateTensor& tensor : unit.tensors) tensor.name = name_there(tensor.name);
  checkpoint::load_part(folder, state, peers());
  publish();
}

void Replica::load_parameters_alone(const std::filesystem::path& folder) {
  checkpoint::ModelState state = parameters_of(held());
  if (!has_step_sizes(folder)) state = without_step_sizes(std::move(state));
  checkpoint::load(folder, state, peers(), compress::is_beside_the_model);
  publish();
}

std::uint64_t Replica::load_parameters(const std::filesystem::path& folder) {
  const Doing frame{[&] { return str("loading ", folder.string()); }};
  const checkpoint::JobState state = checkpoint::load(folder, held(), peers(), compress::is_beside_the_model).state;
  publish();
  quantization_.restore(numbers_after(compression_prefix, state));
  const auto updates = checkpoint::get<std::uint64_t>(state.logical, "updates");
  quantization_.stand_at(updates);
  return updates;
}

Assembly::Assembly(const Job& job, std::string data, Communicator& world, const Memory& memory, Beside beside)
    : job_(job),
      data_(std::move(data)),
      companions_(job),
      replica_(job, world, memory, {.beside = companions_.units()}),
      alone_(alone()),
      teachers_(job.distillation.teaches()
                    ? std::make_unique<Teachers>(job, companions_.projections.get(), world, memory, data_)
                    : nullptr) {
  // At stage 0 every rank holds the whole gradient, so each one's norm is already the whole norm.
  Communicator& holders = job.zero.stage == 0 ? *alone_ : world;
  scaler_ = make_scaler(job.amp, replica_.owned(), holders);
  optimizer_ = make_optimizer(job.optimizer, replica_.placement());
  const compress::PruningConfig& pruning = job.compression.pruning;
  rewound_optimizer_ = std::make_unique<compress::RewoundOptimizer>(pruning, *optimizer_, replica_.placement());
  Schedule schedule = compress::rewound(pruning, make_schedule(job.scheduler, job.optimizer));
  const std::size_t moments = replica_.placement().kinds().size() - 1;
  pruning_ = std::make_unique<compress::Pruning>(pruning, replica_.placement(), replica_.owned(), holders, schedule);
  rewound_weights_ =
      std::make_unique<compress::RewoundWeights>(pruning, replica_.placement(), replica_.owned(), moments);
  steps_begin_ =
      std::make_unique<compress::StepSizesBegin>(job.compression.weights, replica_.quantization().weights().steps(),
                                                 replica_.placement(), replica_.owned(), holders);
  const compress::QuantizedInputs& inputs = replica_.quantization().inputs();
  input_steps_begin_ = std::make_unique<compress::InputStepsBegin>(
      job.compression.inputs, inputs.steps(), [&inputs](const std::string& weight) { return inputs.range_of(weight); },
      replica_.placement(), replica_.owned());
  // Step sizes are of the weights that pruning has left.
  std::vector<OwnerState*> states{&replica_.quantization(), pruning_.get(), rewound_weights_.get(), steps_begin_.get(),
                                  input_steps_begin_.get()};
  if (job.train.integrity) {
    sums_ = std::make_unique<StateSums>(replica_.owned(), replica_.placement().kinds());
    replica_.placement().compare_with(*sums_);
    if (beside.witnesses != nullptr)
      states.push_back((copies_ = std::make_unique<CopyCheck>(job.train.compare_every, replica_.parameters(), *sums_,
                                                              *beside.witnesses))
                           .get());
  }
  states_ = std::make_unique<OwnerStates>(states);
  const Trainer::Config config{job.batch.deal, job.train.gradient_clipping};
  trainer_ = std::make_unique<Trainer>(config, replica_.model(), replica_.seams(), *scaler_, objective(),
                                       *rewound_optimizer_, *states_, std::move(schedule), world);
  if (job.checkpoint.asynchronous)
    saver_ = std::make_unique<checkpoint::BackgroundSaver>(
        checkpoint::written_by(replica_.held(), world.rank(), world.size()), memory.host,
        beside.savers == nullptr ? checkpoint::Peers{world.rank(), world.size()} : peers_of(*beside.savers));
}

Assembly::~Assembly() = default;

const Objective& Assembly::objective() {
  const compress::DistillationConfig& distillation = job_.distillation;
  const Objective* objective = teachers_ ? &teachers_->objective() : &text_;
  if (companions_.peer) {
    mutual_ = std::make_unique<compress::MutualLearning>(distillation.terms(), *companions_.peer);
    objective = mutual_.get();
  }
  if (distillation.exits.blocks.empty()) return *objective;
  exits_ = std::make_unique<compress::Exits>(distillation.exits, distillation.terms(), *objective, replica_.model());
  return *exits_;
}

void Assembly::load_teachers() {
  if (teachers_) teacher_digest_ = teachers_->load();
}

void Assembly::begin() {
  load_teachers();
  load_first_parameters();
  rewound_weights_->begin_after(0);
  if (steps_begin_->begin_after(0)) replica_.publish();
}

void Assembly::load_first_parameters() {
  const std::optional<std::string>& from = job_.checkpoint.start_from;
  const std::vector<std::string>& teachers = job_.distillation.teachers;
  if (!from && !job_.layer_reduction.enabled) return;
  const compress::LayerReduction& reduction = job_.layer_reduction;
  const std::filesystem::path folder =
      checkpoint::resolve(reduction.enabled && teachers.size() == 1 ? teachers.front() : *from);
  const Doing frame{[&] { return "beginning with the parameters of " + folder.string(); }};
  if (!reduction.enabled) return replica_.load_parameters_alone(folder);
  replica_.load_some_parameters(folder, [&](const std::string& name) { return reduction.name_in_teacher(name); });
}

checkpoint::JobState Assembly::job_state() {
  checkpoint::JobState state;
  state.logical = {{"step", trainer_->steps()},
                   {"updates", trainer_->updates()},
                   {"seed", job_.train.seed},
                   {"data", data_},
                   {"micro_batches", std::uint64_t{job_.batch.deal.micro_batches}},
                   {"reduction_block", std::uint64_t{job_.train.reduction_block}},
                   {"history", trainer_->history().hex()}};
  if (teachers_) state.logical["teacher"] = teacher_digest_;
  for (const auto& [name, number] : scaler_->state()) state.logical[scaler_prefix + name] = number;
  for (const auto& [name, number] : states_->state()) state.logical[compression_prefix + name] = number;
  state.circumstances = {{"stage", std::uint64_t{job_.zero.stage}},
                         {"instruction_path", std::string{ops::name_of(ops::instruction_path())}},
                         {"device", kind_of(replica_.device())}};
  state.job = job_.effective();
  return state;
}

void Assembly::save() {
  const Doing frame{[&] { return str("saving step ", trainer_->steps()); }};
  if (copies_) copies_->before_save(trainer_->updates());
  if (saver_) {
    replica_.placement().hold(saver_->save(job_.directory(), trainer_->steps(), job_state(), job_.checkpoint.keep));
    return;
  }
  const trace::Span span{trace::Kind::disk, "save a checkpoint"};
  const checkpoint::Peers peers = replica_.peers();
  checkpoint::save(job_.directory(), trainer_->steps(), checkpoint::written_by(replica_.held(), peers.rank, peers.size),
                   job_state(), peers, job_.checkpoint.keep);
}

void Assembly::finish_saving() {
  const Doing frame{[&] { return str("saving to ", job_.directory().string()); }};
  if (saver_) saver_->finish();
}

void Assembly::load_newest(const std::filesystem::path& directory) {
  const Doing frame{[&] { return str("resuming from ", directory.string()); }};
  const checkpoint::Resumption resumption = checkpoint::load_newest(directory, replica_.held(), replica_.peers());
  for (const checkpoint::Skipped& each : resumption.skipped)
    log::warning(str("skipped ", each.folder.string(), ": ", each.reason));
  ensure(Exit::checkpoint, resumption.found.has_value(), "there is no whole checkpoint in ", directory.string());
  replica_.publish();

  const checkpoint::JobState& state = resumption.found->manifest.state;
  ensure(Exit::data, checkpoint::get<std::string>(state.logical, "data") == data_, resumption.found->folder.string(),
         " was trained on other tokens than ", job_.data.train,
         " holds now: give the old token file back, or start a new ", "run in another checkpoint.directory");
  scaler_->restore(numbers_after(scaler_prefix, state));
  states_->restore(numbers_after(compression_prefix, state));
  trainer_->restore(checkpoint::get<std::uint64_t>(state.logical, "step"),
                    checkpoint::get<std::uint64_t>(state.logical, "updates"),
                    checkpoint::get<std::string>(state.logical, "history"));
  load_teachers();
  ensure(Exit::data, !teachers_ || checkpoint::get<std::string>(state.logical, "teacher") == teacher_digest_,
         resumption.found->folder.string(), " was trained by another teacher than ",
         job_.distillation.stored_logits.value_or(
             job_.distillation.teachers.empty() ? "" : job_.distillation.teachers.front()),
         " holds now: name that step's own folder in distillation.teacher, or give that file back");
  log::info(str("resuming from ", resumption.found->folder.string()));

  const std::string path = checkpoint::get<std::string>(state.circumstances, "instruction_path");
  if (path != ops::name_of(ops::instruction_path()))
    log::warning(str("this checkpoint was written with ", path, " instructions and goes on with ",
                     ops::name_of(ops::instruction_path()),
                     ": the last bits of matrix products may differ from there on"));
  // One that is older than GPUs has no such value.
  const auto device = state.circumstances.find("device");
  const std::string before = device == state.circumstances.end() ? "cpu" : std::get<std::string>(device->second);
  if (before != kind_of(replica_.device()))
    log::warning(str("this checkpoint was computed on device.type ", before, " and goes on on ",
                     kind_of(replica_.device()), ": the last bits differ from there on"));
}

}  // namespace tranche
