// What else a job could be, so that it fits: found by planning it that way. None of this changes a number of the run.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "launcher/job.h"
#include "launcher/plan.h"

namespace tranche {

// Settings that trade device memory for something else.
struct Choice {
  std::size_t stage = 0;
  Tier optimizer = Tier::device, parameters = Tier::device;
  bool recompute = false;
};
// As --set takes them: what has to change in the job. nvme_path is "PATH" where the job names none.
std::vector<std::string> changes(const Job& job, const Choice& choice);
// job, which is settled, with other settings, on `ranks`.
Plan plan_of(const Job& job, const Choice& choice, std::size_t ranks, std::size_t ranks_on_host);

// A stage, a place for the optimizer's state and for slices of parameters, planned with activations kept and
// recomputed.
struct ChoiceRow {
  Choice choice;
  Plan kept, recomputed;
};
// Every stage by every tier, as far as they go together, on the job's ranks; on one rank, where stages are the same,
// the job's own and what needs stage 3.
std::vector<ChoiceRow> plan_choices(const Job& job, std::size_t ranks_on_host);

// A change of the job with which it fits.
struct Remedy {
  std::vector<std::string> overrides;  // as --set takes them
  std::size_t ranks = 1, stage = 0;
  Plan plan;
};
// For a job that does not fit: higher stages, recomputation and optimizer state in host memory or, where that is too
// small, on disk, on as many ranks; the lowest higher number of ranks for the job as it is; and where only more ranks
// help, a lower number of them with all of that. Empty: nothing of this fits.
std::vector<Remedy> find_remedies(const Job& job, std::size_t ranks_on_host);

// For a run that met the end of some memory: the plan, and every choice; what would fit, where the job limits anything.
std::string memory_advice(const Job& job, std::size_t ranks_on_host);

// Throws Exit::out_of_memory with the plan and what would fit, if a memory that it limits does not hold it.
void refuse_if_too_large(const Job& job, std::size_t ranks_on_host);

}  // namespace tranche
