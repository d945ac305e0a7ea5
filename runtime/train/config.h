// What a job file says about the training run itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "runtime/train/deal.h"

namespace tranche {

class Section;

// Of gradients over ranks.
enum class Reduction { canonical, fast };

struct TrainConfig {
  std::size_t steps = 0;
  std::uint64_t seed = 1;
  std::optional<std::size_t> train_batch_size{}, micro_batch_size{}, accumulation{};  // as given: see plan_batch
  Reduction reduction = Reduction::canonical;
  std::size_t reduction_block = 1;
  double gradient_clipping = 1;  // 0: off
  bool recompute = false;        // activations, in backward
  std::size_t steps_per_print = 10;

  bool integrity = true;           // owned state is checksummed
  std::size_t compare_every = 10;  // updates between comparisons of copies; 0: never

  bool compares() const { return integrity && compare_every != 0; }

  // The keys in the job itself.
  void declare(Section& job);
  // The keys in "activation_checkpointing".
  void declare_activations(Section& activations);
  // The keys in "integrity".
  void declare_integrity(Section& integrity);
};

// How a step's samples are divided. Micro-batches are what the numbers depend on; ranks only take turns at them.
struct BatchPlan {
  std::size_t micro_batch_size = 1;  // samples
  Deal deal;                         // of the step's micro-batches
  std::size_t samples() const { return micro_batch_size * deal.micro_batches; }
  std::size_t accumulation() const { return deal.per_rank(); }
};

// From whichever of DeepSpeed's three keys are given (any two give the third; one alone: accumulation is 1).
// Throws Exit::job_file if they contradict one another, or if M cannot be dealt out to `ranks`: then the message lists
// the numbers of ranks that can. `place` is how messages begin: "job.json: ".
BatchPlan plan_batch(const TrainConfig& config, std::size_t ranks, const std::string& place = "");

}  // namespace tranche
