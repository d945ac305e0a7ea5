// Kernels that a stream is given, launched as CUDA graphs.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <map>
#include <vector>

namespace tranche::cuda {

// A part is captured anew each time, since addresses, random keys and the loss scale are arguments of kernels; an
// executable graph of earlier kernels that differs in these alone is updated to it, else one more is made.
// One thread calls, the one that gives the stream work.
class Captures {
 public:
  explicit Captures(cudaStream_t stream) : stream_(stream) {}
  ~Captures();
  Captures(const Captures&) = delete;
  Captures& operator=(const Captures&) = delete;

  // From here on the stream captures. Meanwhile nobody may wait for it, mark a place in it, or have it wait.
  void begin();
  // Launches what was captured; nothing, if nothing is being captured.
  void launch();
  bool capturing() const { return capturing_; }

 private:
  cudaGraphExec_t fitting(cudaGraph_t graph, std::size_t nodes);

  cudaStream_t stream_;
  bool capturing_ = false;
  std::map<std::size_t, std::vector<cudaGraphExec_t>> known_;  // by number of nodes
};

}  // namespace tranche::cuda
