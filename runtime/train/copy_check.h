// Whether what ranks compute with is what its owners made: every so many updates the parameters that the step's visits
// gather are compared with their owners' checksums. At stage 0, where every rank owns all, the owners are compared with
// one another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/comm/communicator.h"
#include "runtime/optim/state_sums.h"
#include "runtime/train/seams.h"
#include "runtime/train/shown_store.h"

namespace tranche {

class CopyCheck : public OwnerState {
 public:
  // every: updates, at least 1. ranks: a communicator beside the training's, whose record holds a step's collectives.
  // All must outlive the object, which the store tells of what it gathers.
  CopyCheck(std::size_t every, ShownStore& store, const StateSums& sums, Communicator& ranks);

  // Collective where a comparison is due. Throws Exit 13 (corrupted), on all ranks, if owners of the same differ; a
  // visit throws it, on a rank that reads something else than the owner made. Both name rank and tensors.
  void begin_step(std::uint64_t updates) override;
  void end_step(bool taken) override;

  // Collective, between steps, before a checkpoint of these updates: where every rank owns all, each saves a part, and
  // what they disagree on would be in it. Throws as begin_step does.
  void before_save(std::uint64_t updates);

 private:
  struct Sum {
    std::uint64_t known = 0, value = 0;
  };
  // How many parts a unit's flat layout has, each with an owner of its own; 1: every rank owns the whole.
  std::size_t parts_of(std::size_t unit) const;
  void compare_all_owners(std::uint64_t updates);
  void compare_owners(std::size_t unit) const;
  void compare_copy(const Unit& unit);

  std::size_t every_;
  ShownStore& store_;
  const StateSums& sums_;
  Communicator& ranks_;
  std::uint64_t updates_ = 0;           // of the comparison under way
  std::vector<std::vector<Sum>> told_;  // [rank][unit]; empty: no comparison is under way
  std::vector<bool> compared_;          // by unit
};

}  // namespace tranche
