#include "launcher/session.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "launcher/ranks.h"
#include "runtime/backend/cuda_backend.h"
#include "runtime/base/log.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/comm/staged.h"
#include "runtime/ops/instruction_path.h"
#include "runtime/ops/kernels.h"

namespace tranche {
namespace {

// 0: not set. The variable may hold a list, one number for each level of nesting; the first counts.
std::size_t openmp_threads() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return 0;
  std::size_t threads = 0;
  std::from_chars(text, text + std::strlen(text), threads);
  return threads;
}

}  // namespace

Session::Session() : control_device_(1, Device::unlimited, sharing()), control_(mpi_.communicator(control_device_)) {
  log::set_rank(rank(), ranks());
  double path = 0;
  together(*control_, "instructions", [&] { path = static_cast<double>(ops::best_instruction_path()); });
  const std::vector<double> paths = control_->gather(std::span{&path, 1}, "instructions");
  ops::use_instruction_path(static_cast<ops::InstructionPath>(*std::min_element(paths.begin(), paths.end())));
}

std::unique_ptr<Device> Session::make_device(const Job& job) {
  const DeviceConfig& config = job.device;
  if (config.type == DeviceConfig::Type::cpu) return make_cpu_device(config);
  std::unique_ptr<Device> gpu;
  const auto open = [&] {
    const CudaBackend& backend = open_cuda_backend();
    gpu = backend.make_device(mpi_.rank_on_host(), mpi_.ranks_on_host(), config.capacity());
    if (config.cuda_graphs) gpu->use_graphs();
    ops::use_cuda_kernels(backend.kernels());
  };
  if (config.type == DeviceConfig::Type::cuda) {
    together(*control_, "device", open);
    tell_different_gpus(*gpu);
    return gpu;
  }
  std::string why_not;
  try {
    open();
  } catch (const Error& error) {
    why_not = without_frames(error.what());
  }
  const std::vector<std::string> reasons = control_->gather_text(why_not, "device");
  const auto first = std::ranges::find_if_not(reasons, &std::string::empty);
  if (first == reasons.end()) {
    tell_different_gpus(*gpu);
    return gpu;
  }
  const std::string who = ranks() == 1 ? "" : str(", because of rank ", first - reasons.begin());
  log::info(str("device.type is auto: computing on the CPU", who, ": ", *first));
  return make_cpu_device(config);
}

void Session::tell_different_gpus(const Device& mine) {
  const auto model_of = [](const std::string& gpu) { return gpu.substr(std::min(gpu.find('('), gpu.size())); };
  const std::vector<std::string> all = control_->gather_text(mine.description(), "GPUs");
  for (std::size_t rank = 1; rank < all.size(); ++rank)
    if (model_of(all[rank]) != model_of(all[0]))
      return log::warning(str("ranks compute on different GPUs, rank 0 on ", all[0], " and rank ", rank, " on ",
                              all[rank], ": the last bits depend on which rank computes what"));
}

std::unique_ptr<CpuDevice> Session::make_cpu_device(const DeviceConfig& config) const {
  if (config.type == DeviceConfig::Type::cuda) log::info("this is computed on the CPU, though device.type is cuda");
  if (config.cuda_graphs) log::info("device.cuda_graphs has no effect: this is computed on the CPU");
  return std::make_unique<CpuDevice>(threads_of(config), config.capacity(), sharing());
}

std::unique_ptr<CpuDevice> Session::make_host(const DeviceConfig& config, Device& device) const {
  if (device.type() == DeviceType::cuda) {
    std::unique_ptr<CpuDevice> host = open_cuda_backend().make_host(threads_of(config), config.host_capacity());
    // Under a limit of the user's, what merely passes must not end a job that fits: no plan knows all of it.
    if (config.host_memory == 0) device.stage_in(*host);
    return host;
  }
  return std::make_unique<CpuDevice>(threads_of(config), config.host_capacity(), Sharing::nothing, Tier::host);
}

std::unique_ptr<Communicator> Session::make_world(Device& device, const DeviceConfig& config) {
  if (device.type() != DeviceType::cuda) return mpi_.communicator(device);
  std::unique_ptr<Communicator> on_host = mpi_.communicator(control_device_);
  if (ranks() == 1) return staged_communicator(std::move(on_host), device);
  if (const std::string why_not = why_not_by_plugin(config); !why_not.empty()) {
    log::info("collectives of GPUs go through the host's memory: " + why_not);
    return staged_communicator(std::move(on_host), device);
  }
  const CudaBackend& backend = open_cuda_backend();
  log::info("collectives of GPUs go by " + backend.collectives());
  return backend.make_communicator(std::move(on_host), device);
}

std::string Session::why_not_by_plugin(const DeviceConfig& config) {
  const std::vector<std::string> ways = control_->gather_text(open_cuda_backend().collectives(), "collectives of GPUs");
  if (config.collectives == DeviceConfig::Collectives::host) return "device.collectives is \"host\"";
  for (std::size_t rank = 0; rank < ways.size(); ++rank) {
    if (ways[rank].empty()) return str("libtranche_cuda.so of rank ", rank, " was built without NCCL");
    if (ways[rank] != ways[0]) return str("rank 0 has ", ways[0], ", and rank ", rank, " ", ways[rank]);
  }
  return {};
}

std::size_t Session::threads_of(const DeviceConfig& config) const {
  if (config.threads != 0) return config.threads;
  const std::size_t threads = openmp_threads();
  return threads != 0 ? threads : mpi_.threads_per_rank();
}

Sharing Session::sharing() const { return mpi_.ranks_on_host() > 1 ? Sharing::with_host : Sharing::nothing; }

OpenedCheckpoint open_newest(const JobOptions& options, const std::string& directory, Session& session) {
  OpenedCheckpoint opened;
  together(session.control(), "checkpoint", [&] {
    opened.job = std::make_unique<Job>(read_job(options.file, options.overrides));
    opened.job->settle(session.ranks());
    opened.folder = checkpoint::resolve(directory.empty() ? opened.job->directory() : std::filesystem::path{directory});
  });
  check_same_job(*opened.job, session.control());
  return opened;
}

OpenedCheckpoint open_checkpoint(const std::string& directory, Session& session,
                                 const std::vector<std::string>& changes) {
  OpenedCheckpoint opened;
  together(session.control(), "checkpoint", [&] {
    opened.folder = checkpoint::resolve(directory);
    const checkpoint::Manifest manifest = checkpoint::read_manifest(opened.folder);
    opened.job = std::make_unique<Job>(stored_job(manifest.state.job, opened.folder.string(), changes));
    // The disk that it was trained with may be another machine's; without moments there is little to keep there.
    for (Tier* tier : {&opened.job->offload.optimizer, &opened.job->offload.parameters})
      if (*tier == Tier::disk) *tier = Tier::host;
    opened.job->settle(session.ranks());
  });
  return opened;
}

void check_vocabulary(const TokenFile& file, const ModelConfig& model) {
  ensure(Exit::data, file.tokenizer().vocabulary_size <= model.vocabulary, file.path().string(), " was made with ",
         file.tokenizer(), ", whose tokens do not fit the model's vocab_size of ", model.vocabulary,
         "; tokenize the text anew, or set model.vocab_size=", file.tokenizer().vocabulary_size);
}

}  // namespace tranche
