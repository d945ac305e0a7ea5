// The rank that this process is, and what the commands that compute need before their own work.
#pragma once

#include <filesystem>
#include <memory>

#include "launcher/commands/commands.h"
#include "launcher/job.h"
#include "runtime/comm/mpi.h"
#include "runtime/data/token_file.h"
#include "runtime/device/cpu/cpu_device.h"

namespace tranche {

class Session {
 public:
  // Joins the ranks that mpirun or srun started; one rank where nothing did. Agrees with them on the instruction path.
  Session();

  // For agreements, before there is a device of the job's; its buffers count nowhere.
  Communicator& control() { return *control_; }
  std::size_t rank() const { return mpi_.rank(); }
  std::size_t ranks() const { return mpi_.size(); }
  std::size_t ranks_on_host() const { return mpi_.ranks_on_host(); }

  // Collective: what "device.type" says, of one kind on every rank. A GPU that cannot be used ends the job with the
  // reason (Exit 14); "auto" says the reason and takes the CPU.
  std::unique_ptr<Device> make_device(const Job& job);
  // For what the CPU alone computes. It says so where the job names a GPU. Threads: device.threads, else
  // OMP_NUM_THREADS, else the rank's share of the host's cores.
  std::unique_ptr<CpuDevice> make_cpu_device(const DeviceConfig& config) const;
  // Host memory for what a job offloads from that device, worked on with as many threads; nobody else reads it. What
  // passes between a GPU and the host goes through it from now on.
  std::unique_ptr<CpuDevice> make_host(const DeviceConfig& config, Device& device) const;
  // Collective. One more for the same ranks, which another thread may use; its buffers count nowhere.
  std::unique_ptr<Communicator> make_control() { return mpi_.communicator(control_device_); }
  // Collective. Training's own communicator: its record holds nothing but the step's collectives. Says how those of
  // GPUs go, which "device.collectives" and each rank's plugin decide.
  std::unique_ptr<Communicator> make_world(Device& device, const DeviceConfig& config);
  std::unique_ptr<Communicator> make_world(CpuDevice& device) { return mpi_.communicator(device); }

 private:
  Sharing sharing() const;
  void tell_different_gpus(const Device& mine);               // collective
  std::string why_not_by_plugin(const DeviceConfig& config);  // collectives of GPUs; collective
  std::size_t threads_of(const DeviceConfig& config) const;

  MpiSession mpi_;
  CpuDevice control_device_;
  std::unique_ptr<Communicator> control_;
};

// A job and the checkpoint to compute with.
struct OpenedCheckpoint {
  std::filesystem::path folder;
  std::unique_ptr<Job> job;
};
// The job file as it is now, and the newest complete checkpoint of `directory`, or that folder if it is one; "": of the
// job's own directory. Collective.
OpenedCheckpoint open_newest(const JobOptions& options, const std::string& directory, Session& session);
// The same of a directory alone: the job is the one that the checkpoint was written by, with changes as --set takes
// them. Collective.
OpenedCheckpoint open_checkpoint(const std::string& directory, Session& session,
                                 const std::vector<std::string>& changes = {});

// Throws Exit::data, naming both, if the file's tokens do not fit the model's vocabulary.
void check_vocabulary(const TokenFile& file, const ModelConfig& model);

}  // namespace tranche
