// The job file: everything that a run depends on, in the structs of the folders that use it.
//
//   Job job{read_job("job.json", {"zero_optimization.stage=2"})};
//   job.settle(world.size());                       // or job.resume(world.size(), stored, "runs/demo/step-000500")
//   check_same_job(job, world);
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "amp/config.h"
#include "compress/config.h"
#include "compress/distillation.h"
#include "launcher/tensorboard.h"
#include "offload/config.h"
#include "partition/config.h"
#include "runtime/base/settings.h"
#include "runtime/checkpoint/config.h"
#include "runtime/data/config.h"
#include "runtime/device/config.h"
#include "runtime/models/model.h"
#include "runtime/optim/config.h"
#include "runtime/train/config.h"

namespace tranche {

// A job file as text says it, with the command line's changes, and where each part of it stands.
struct JobText {
  Json json;  // "model" is the model's object, also where the file names another file
  Source source;
  Source model_source;
  std::string model_path;  // where the model's object stands in model_source: "model", or "" for a file
};

// overrides: "a.b=c", as --set gives them, the last one of a key wins. Throws Exit::job_file for files that cannot be
// read or are no JSON, and Exit::usage for an override without '='.
JobText read_job(const std::filesystem::path& file, const std::vector<std::string>& overrides);
// The same for what Job::effective said earlier; `name` is for messages.
JobText stored_job(const Json& effective, const std::string& name, const std::vector<std::string>& overrides);

// Its members refer to one another by address: it stays where it is made.
class Job {
 public:
  // The defaults, for the reference page.
  Job();
  // Throws Exit::job_file, naming file and line or the --set, for whatever cannot be: an unknown key, a value of the
  // wrong type or out of range, a model that does not exist, a sequence longer than its positions, a combination.
  explicit Job(const JobText& text);
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  Json model;  // every key of the model's configuration that has an effect
  ModelConfig model_config;
  DataConfig data;
  TrainConfig train;
  OptimizerConfig optimizer;
  SchedulerConfig scheduler;
  AmpConfig amp;
  ZeroConfig zero;
  OffloadConfig offload;
  compress::CompressConfig compression;
  compress::LayerReduction layer_reduction;
  compress::DistillationConfig distillation;
  CheckpointConfig checkpoint;
  DeviceConfig device;
  TensorBoardConfig tensorboard;

  // Valid after settle or resume.
  BatchPlan batch;

  // Deals the batch out to `ranks`. Throws Exit::job_file if that does not go.
  void settle(std::size_t ranks);
  // The same for a run that goes on from a checkpoint: what the number of ranks fixed at the first start stays.
  // `stored` is what effective() said then, `checkpoint` names it. Throws Exit::checkpoint if a key that changes the
  // numbers has another value now, or the model is another.
  void resume(std::size_t ranks, const Json& stored, const std::string& checkpoint);

  std::unique_ptr<Model> make_model() const;
  std::unique_ptr<Model> make_peer() const;  // of "distillation.peer"; null: there is none
  // Whether anything of it lies in host memory, or passes through it to a GPU.
  bool uses_host() const {
    return offload.uses_host() || checkpoint.asynchronous || distillation.parameters == Tier::host ||
           device.type == DeviceConfig::Type::cuda;
  }
  std::filesystem::path directory() const { return *checkpoint.directory; }

  // Every value that has an effect; Job{stored_job(effective(), ...)} is this job. Stored in checkpoints.
  Json effective() const;
  // SHA-256 of it.
  std::string hash() const;
  // effective() as a job file in which comments say where each value came from.
  std::string annotated() const { return root_.annotated(); }
  // A line for each reason why keys of the job or its model have no effect.
  std::vector<std::string> without_effect() const;
  // The page docs/job-file.md.
  std::string reference() const;

 private:
  void declare();
  void read_model(const JobText& text);
  void complete(const JobText& text);
  void read_peer(const JobText& text);
  void check_offload() const;

  Section root_;
};

// The first key in which two effective jobs differ, with both values: "\"steps\" is 10 and 20"; empty if they are
// equal.
std::string first_difference(const Json& a, const Json& b);

}  // namespace tranche
