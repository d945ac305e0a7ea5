#include "runtime/device/cuda/runtime.h"

#include "runtime/base/error.h"

namespace tranche::cuda {

void succeed(cudaError_t result, std::string_view what) {
  ensure(Exit::internal, result == cudaSuccess, what, " failed: ", cudaGetErrorString(result));
}

// Not ordered with the default stream, which nothing here uses.
Stream::Stream() { succeed(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }

void Stream::wait_for_all() const { succeed(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

Mark::Mark(cudaStream_t stream) {
  succeed(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  const cudaError_t recorded = cudaEventRecord(event_, stream);
  if (recorded != cudaSuccess) cudaEventDestroy(event_);
  succeed(recorded, "cudaEventRecord");
}

void Mark::wait() const { succeed(cudaEventSynchronize(event_), "cudaEventSynchronize"); }

void Mark::precedes(cudaStream_t stream) const {
  succeed(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent");
}

}  // namespace tranche::cuda
