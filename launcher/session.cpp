#include "launcher/session.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "launcher/ranks.h"
#include "runtime/base/log.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/ops/instruction_path.h"

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

std::unique_ptr<CpuDevice> Session::make_device(const DeviceConfig& config) const {
  return std::make_unique<CpuDevice>(threads_of(config), config.capacity(), sharing());
}

std::unique_ptr<CpuDevice> Session::make_host(const DeviceConfig& config) const {
  return std::make_unique<CpuDevice>(threads_of(config), config.host_capacity(), Sharing::nothing, Tier::host);
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
