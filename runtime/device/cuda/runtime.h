// CUDA's runtime, with errors as exceptions and handles that release themselves.
#pragma once

#include <cuda_runtime_api.h>

#include <string_view>
#include <utility>

namespace tranche::cuda {

// Throws an Error: what failed, and what CUDA says of it.
void succeed(cudaError_t result, std::string_view what);

// Neither waits for what is under way when it goes.
class Stream {
 public:
  Stream();
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  operator cudaStream_t() const { return stream_; }
  void wait_for_all() const;  // the host waits

 private:
  cudaStream_t stream_ = nullptr;
};

// A place in a stream.
class Mark {
 public:
  explicit Mark(cudaStream_t stream);  // behind all that it was given so far
  ~Mark() { cudaEventDestroy(event_); }
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

  void wait() const;                         // the host waits
  void precedes(cudaStream_t stream) const;  // what this stream is given from here on waits

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace tranche::cuda
