// The composition root: the one place that knows every feature. It puts together what a job file asks for.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "compress/fake_quantization.h"
#include "compress/pruning.h"
#include "compress/rewinding.h"
#include "launcher/companions.h"
#include "launcher/job.h"
#include "offload/disk.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/optim/state_sums.h"
#include "runtime/train/copy_check.h"
#include "runtime/train/trainer.h"

namespace tranche {

// A rank's tiers; what is not offloaded leaves the host's untouched. On the CPU it is other memory, with its own
// ledger.
struct Memory {
  Device& device;
  Device& host;
  Disk& disk;
};

// One rank's share of a model, with initial values: what evaluating and generating need. Stays where it is made.
class Replica {
 public:
  // What it has in place of what the job asks for; null: the job's.
  struct Instead {
    const LinearForm* linears = nullptr;
    const ActivationPolicy* activations = nullptr;
    GradientSync* gradients = nullptr;
    std::unique_ptr<OptimizerPlacement> placement{};
    std::vector<Unit*> beside{};  // units that are trained with the model and not of it
  };
  // Collective. job: settled, the same on every rank; it, world, what memory names and what `instead` points
  // to must outlive the replica.
  Replica(const Job& job, Communicator& world, const Memory& memory) : Replica(job, world, memory, Instead{}) {}
  Replica(const Job& job, Communicator& world, const Memory& memory, Instead instead);
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  Model& model() { return *model_; }
  Device& device() { return device_; }
  Communicator& world() { return world_; }
  const std::vector<Owned>& owned() const { return parameters_->owned(); }
  ShownStore& parameters() { return *parameters_; }
  const Seams& seams() const { return seams_; }
  OptimizerPlacement& placement() { return *placement_; }
  compress::FakeQuantization& quantization() { return quantization_; }

  // Collective: a checkpoint folder's parameters of the model, and nothing else of it.
  void load_parameters_alone(const std::filesystem::path& folder);
  // Collective: what this checkpoint folder has of the model's parameters, under the names that `name_there` says.
  void load_some_parameters(const std::filesystem::path& folder,
                            const std::function<std::string(const std::string&)>& name_there);
  // Collective: the parameters of this checkpoint folder, written by any number of ranks at any stage, and what they
  // are computed with. Returns the updates that were done.
  std::uint64_t load_parameters(const std::filesystem::path& folder);
  // After masters were changed from outside. Collective.
  void publish();
  // For checkpoints: this rank's masters, of what is trained beside the model too, and what an optimizer added to them.
  checkpoint::ModelState held() const;
  checkpoint::Peers peers();

 private:
  Communicator& world_;
  Device& device_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<SlicePlacement> slices_;
  std::unique_ptr<ShownStore> parameters_;
  std::unique_ptr<OptimizerPlacement> placement_;
  std::unique_ptr<GradientSync> gradients_;
  std::unique_ptr<ActivationPolicy> activations_;
  compress::FakeQuantization quantization_;
  Seams seams_;
};

class Teachers;

// The same ranks' other communicators, so that the world's record holds a step's collectives alone. A plan, which does
// neither, has none.
struct Beside {
  Communicator* savers = nullptr;     // of a job that saves beside its steps
  Communicator* witnesses = nullptr;  // of a job that compares copies of parameters
};

// A replica that trains: with gradients, scaler, optimizer, and the state that checkpoints hold.
class Assembly {
 public:
  // Collective; as Replica. data: what identifies the training data (TokenFile::sha256); a resume on other data is
  // refused.
  Assembly(const Job& job, std::string data, Communicator& world, const Memory& memory, Beside beside = {});

  ~Assembly();

  Trainer& trainer() { return *trainer_; }
  Replica& replica() { return replica_; }

  // Collective: writes the state to job's checkpoint directory as the step that the trainer has reached, and deletes
  // what checkpoint.keep does not keep. Throws Exit::storage on every rank if any rank could not write. With
  // checkpoint.asynchronous it returns when the state is copied, and throws what the save before it failed with.
  void save();
  // Collective: waits until what was saved is durable; throws Exit::storage on every rank if it could not be.
  void finish_saving();
  // Whether a save beside the steps has failed, which the next save or finish_saving throws.
  bool saving_failed() const { return saver_ && saver_->failed(); }
  // Collective: a new run's parameters, where they come from another, and its teacher's. A plan needs neither.
  void begin();
  // Collective: continues from the newest whole checkpoint of a directory; logs which newer ones were skipped, and why.
  // Throws Exit::checkpoint if there is none, Exit::data if it was trained on other data.
  void load_newest(const std::filesystem::path& directory);

 private:
  checkpoint::JobState job_state();
  void load_teachers();
  void load_first_parameters();
  const Objective& objective();

  const Job& job_;
  std::string data_;
  Companions companions_;
  Replica replica_;
  std::unique_ptr<Communicator> alone_;
  std::unique_ptr<Teachers> teachers_;
  std::string teacher_digest_;
  Objective text_;
  std::unique_ptr<Objective> mutual_, exits_;
  std::unique_ptr<LossScaler> scaler_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<compress::RewoundOptimizer> rewound_optimizer_;
  std::unique_ptr<compress::Pruning> pruning_;
  std::unique_ptr<compress::RewoundWeights> rewound_weights_;
  std::unique_ptr<compress::StepSizesBegin> steps_begin_;
  std::unique_ptr<compress::InputStepsBegin> input_steps_begin_;
  std::unique_ptr<StateSums> sums_;
  std::unique_ptr<CopyCheck> copies_;
  std::unique_ptr<OwnerStates> states_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<checkpoint::BackgroundSaver> saver_;
};

}  // namespace tranche
