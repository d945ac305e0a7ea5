// The MPI session of a test program, one for all its tests.
#pragma once

#include "runtime/comm/mpi.h"

namespace tranche::testing {

MpiSession& session();

}  // namespace tranche::testing
