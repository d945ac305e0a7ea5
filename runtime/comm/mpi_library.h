// Which MPI library ranks reach each other by.
#pragma once

#include <string>

namespace tranche {

// "Open MPI v4.1.4, of standard 3.1". Needs no MpiSession.
std::string mpi_library();
// How threads may use it in this process, as MPI names it: what MpiSession asked for is MPI_THREAD_MULTIPLE. Where it
// is not initialised, because nothing launched this process, "none".
std::string mpi_thread_level();

}  // namespace tranche
