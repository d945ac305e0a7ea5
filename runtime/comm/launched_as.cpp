#include "runtime/comm/launched_as.h"

#include <cstdlib>

namespace tranche {
namespace {

struct Names {
  const char *rank, *ranks;
};
// Within a Slurm allocation mpirun's say more than those of the batch step that it runs in.
constexpr Names launchers[]{{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"}};

}  // namespace

LaunchedAs launched_as() {
  for (const Names& names : launchers) {
    const char *rank = std::getenv(names.rank), *ranks = std::getenv(names.ranks);
    if (rank != nullptr && ranks != nullptr) return {std::strtoul(rank, nullptr, 10), std::strtoul(ranks, nullptr, 10)};
  }
  return {};
}

}  // namespace tranche
