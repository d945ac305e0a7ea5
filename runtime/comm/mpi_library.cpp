#include "runtime/comm/mpi_library.h"

#include <mpi.h>

#include "runtime/base/error.h"

namespace tranche {

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0, version = 0, subversion = 0;
  MPI_Get_library_version(text, &length);
  MPI_Get_version(&version, &subversion);
  // Open MPI goes on with its package and dates, MPICH with how it was configured.
  const std::string whole{text, static_cast<std::size_t>(length)};
  return str(whole.substr(0, whole.find_first_of(",\n")), ", of standard ", version, ".", subversion);
}

std::string mpi_thread_level() {
  int initialised = 0, level = 0;
  MPI_Initialized(&initialised);
  if (initialised == 0) return "none";
  MPI_Query_thread(&level);
  switch (level) {
    case MPI_THREAD_SINGLE: return "MPI_THREAD_SINGLE";
    case MPI_THREAD_FUNNELED: return "MPI_THREAD_FUNNELED";
    case MPI_THREAD_SERIALIZED: return "MPI_THREAD_SERIALIZED";
    default: return "MPI_THREAD_MULTIPLE";
  }
}

}  // namespace tranche
