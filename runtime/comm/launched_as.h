// What mpirun or srun say of this process in its environment, which is known before MPI is initialised.
#pragma once

#include <cstddef>

namespace tranche {

struct LaunchedAs {
  std::size_t rank = 0, ranks = 1;
};

// One rank where nothing launched it.
LaunchedAs launched_as();

}  // namespace tranche
