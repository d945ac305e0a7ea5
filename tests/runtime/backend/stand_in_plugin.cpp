// A plugin that has an entry and nothing behind it: of the interface and compiler that its target defines.
#include "runtime/backend/cuda_backend.h"

extern "C" const tranche::CudaBackend* tranche_cuda_backend();
extern "C" const tranche::CudaBackend* tranche_cuda_backend() {
  static const tranche::CudaBackend backend{.version = TRANCHE_STAND_IN_VERSION, .build = TRANCHE_STAND_IN_BUILD};
  return &backend;
}
