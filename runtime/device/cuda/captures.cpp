#include "runtime/device/cuda/captures.h"

#include <memory>
#include <type_traits>
#include <utility>

#include "runtime/device/cuda/runtime.h"

namespace tranche::cuda {
namespace {

struct Destroy {
  void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
};
using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, Destroy>;

Graph end_capture(cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  succeed(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  return Graph{graph};
}

}  // namespace

Captures::~Captures() {
  if (capturing_) {
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess) cudaGraphDestroy(graph);
  }
  cudaStreamSynchronize(stream_);  // a graph stays until it has run
  for (const auto& [nodes, all] : known_)
    for (cudaGraphExec_t each : all) cudaGraphExecDestroy(each);
}

// Relaxed: other calls go on, of this thread as of others, and it is ours to make none that waits.
void Captures::begin() {
  if (capturing_) return;
  succeed(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  capturing_ = true;
}

void Captures::launch() {
  if (!std::exchange(capturing_, false)) return;
  const Graph graph = end_capture(stream_);
  std::size_t nodes = 0;
  succeed(cudaGraphGetNodes(graph.get(), nullptr, &nodes), "cudaGraphGetNodes");
  if (nodes != 0) succeed(cudaGraphLaunch(fitting(graph.get(), nodes), stream_), "cudaGraphLaunch");
}

cudaGraphExec_t Captures::fitting(cudaGraph_t graph, std::size_t nodes) {
  std::vector<cudaGraphExec_t>& known = known_[nodes];
  for (cudaGraphExec_t each : known) {
    cudaGraphExecUpdateResultInfo why_not{};
    if (cudaGraphExecUpdate(each, graph, &why_not) == cudaSuccess) return each;
    cudaGetLastError();  // it was an answer
  }
  cudaGraphExec_t made = nullptr;
  succeed(cudaGraphInstantiate(&made, graph, 0), "cudaGraphInstantiate");
  known.push_back(made);
  return made;
}

}  // namespace tranche::cuda
