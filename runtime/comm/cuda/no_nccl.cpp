// In place of nccl.cpp and nccl_communicator.cpp where there is no NCCL to build with.
#include "runtime/base/error.h"
#include "runtime/comm/cuda/nccl_communicator.h"

namespace tranche::cuda {

std::string nccl_version() { return {}; }

std::unique_ptr<Communicator> nccl_communicator(std::unique_ptr<Communicator>, Device&) {
  fail(Exit::internal, "libtranche_cuda.so was built without NCCL");
}

}  // namespace tranche::cuda
