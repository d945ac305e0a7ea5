// What a job trains beside its model: units of their own in the same store, with the same optimizer.
#pragma once

#include <memory>
#include <vector>

#include "compress/projections.h"
#include "launcher/job.h"

namespace tranche {

// Stays where it is made, and outlives the replica that its units are placed in.
struct Companions {
  // job: settled. Throws what teacher_job throws.
  explicit Companions(const Job& job);

  std::unique_ptr<compress::Projections> projections;  // null: none
  std::unique_ptr<Model> peer;                         // null: none
  std::vector<Unit*> units() const;                    // all of these, as they are to be placed
};

}  // namespace tranche
