// The emulated runtime. A graph is what a stream was given while it was captured. Device memory is closed to the host
// but while the device works; a copy's accesses are looked up as a kernel's are; memory of the host that a copy reads
// later must not change until then.
#include <cuda_runtime_api.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"
#include "tests/cuda_emulation/library/device_work.h"

namespace tranche::cuda_emulation {
namespace {

constexpr int driver_version = 13000;

std::size_t number_of(const char* variable, std::size_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// What the host may copy from and to while it goes on.
struct Pinned {
  std::mutex mutex;
  std::map<const std::byte*, std::size_t> blocks;

  bool holds(const void* address) {
    const std::lock_guard lock{mutex};
    const auto* const byte = static_cast<const std::byte*>(address);
    const auto after = blocks.upper_bound(byte);
    if (after == blocks.begin()) return false;
    const auto& [begin, bytes] = *std::prev(after);
    return byte < begin + bytes;
  }
};
Pinned& pinned() {
  static Pinned* const all = new Pinned;
  return *all;
}
// What cudaMalloc gave: sizes by address, and their sum.
struct Given {
  std::map<void*, std::size_t> blocks;
  std::size_t bytes = 0;
};
Given& given() {
  static Given* const all = new Given;
  return *all;
}

std::set<const void*>& graphs() {  // executable ones too
  static std::set<const void*>* const all = new std::set<const void*>;
  return *all;
}

std::uint64_t sum_of(const void* data, std::size_t bytes) {
  return std::hash<std::string_view>{}({static_cast<const char*>(data), bytes});
}

void on_segfault(int, siginfo_t* info, void*) {
  const bool ours = memory().holds(info->si_addr);
  const char text[] = "emulated CUDA: the host touches device memory\n";
  if (ours && ::write(2, text, sizeof text - 1) < 0) ::_exit(71);
  ::signal(SIGSEGV, SIG_DFL);
  if (ours) ::_exit(70);
}

void begin() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_segfault;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &action, nullptr);
    memory().close();
  });
}

// What a program that ends well must have given back.
[[gnu::destructor]] void tell_leaks() {
  const std::size_t blocks = memory().live(), hosts = pinned().blocks.size();
  if (broken() || blocks + hosts + live_streams() + live_events() + graphs().size() == 0) return;
  std::fprintf(stderr, "emulated CUDA: leaked %zu allocations, %zu of the host, %zu streams, %zu events, %zu graphs\n",
               blocks, hosts, live_streams(), live_events(), graphs().size());
  std::fflush(nullptr);
  ::_exit(70);
}

cudaError_t result() { return broken() ? cudaErrorLaunchFailure : cudaSuccess; }

}  // namespace
}  // namespace tranche::cuda_emulation

using namespace tranche;
using namespace tranche::cuda_emulation;

struct CUgraph_st {
  std::vector<Captured> nodes;
};
struct CUgraphExec_st {
  std::vector<Captured> nodes;
};

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorGraphExecUpdateFailure: return "the graph update was not performed";
    case cudaErrorInvalidValue: break;
  }
  return "invalid argument";
}
cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaDriverGetVersion(int* version) {
  *version = static_cast<int>(number_of("TRANCHE_EMULATED_DRIVER", driver_version));
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = driver_version;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver < driver_version) return cudaErrorInsufficientDriver;
  *count = static_cast<int>(number_of("TRANCHE_EMULATED_GPUS", 8));
  return *count == 0 ? cudaErrorNoDevice : cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::snprintf(properties->name, sizeof properties->name, "emulated");
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const std::size_t capability = number_of("TRANCHE_EMULATED_CAPABILITY", 80);
  *value = static_cast<int>(attribute == cudaDevAttrComputeCapabilityMajor ? capability / 10 : capability % 10);
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  begin();
  int count = 0;
  cudaGetDeviceCount(&count);
  return device < count ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  static const std::size_t most = number_of("TRANCHE_EMULATED_MEMORY", std::size_t{64} << 20);
  const auto held = turn();
  if (!broken()) refuse_capture("an allocation");
  if (bytes > most || given().bytes > most - bytes) return cudaErrorMemoryAllocation;
  *data = memory().allocate(bytes, "device memory", Memory::Content::unknown);
  if (*data == nullptr) return cudaErrorMemoryAllocation;
  given().blocks[*data] = bytes;
  given().bytes += bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  const auto held = turn();
  if (!broken()) refuse_capture("a release");
  if (!broken()) wait_for_all();
  const auto found = given().blocks.find(data);
  if (found == given().blocks.end()) return cudaErrorInvalidValue;
  given().bytes -= found->second;
  given().blocks.erase(found);
  memory().free(static_cast<std::byte*>(data));
  return result();
}
cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned) {
  *data = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (*data == nullptr) return cudaErrorMemoryAllocation;
  const std::lock_guard lock{pinned().mutex};
  pinned().blocks[static_cast<std::byte*>(*data)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* data) {
  const std::lock_guard lock{pinned().mutex};
  if (pinned().blocks.erase(static_cast<std::byte*>(data)) == 0) return cudaErrorInvalidValue;
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const bool from_device = memory().holds(from), to_device = memory().holds(to);
  const auto is = [&](cudaMemcpyKind named, bool device_from, bool device_to) {
    return kind != named || (from_device == device_from && to_device == device_to);
  };
  if (!is(cudaMemcpyHostToHost, false, false) || !is(cudaMemcpyHostToDevice, false, true) ||
      !is(cudaMemcpyDeviceToHost, true, false) || !is(cudaMemcpyDeviceToDevice, true, true))
    return cudaErrorInvalidValue;

  if (!broken() && stream != nullptr && !(from_device && to_device))
    refuse_capture(stream, "a copy to or from the host");
  const bool is_pinned = !from_device && pinned().holds(from);
  std::shared_ptr<std::vector<std::byte>> snapshot;
  std::uint64_t sum = 0;
  if (is_pinned) sum = sum_of(from, bytes);
  if (!from_device && !is_pinned)  // read before the call returns
    snapshot = std::make_shared<std::vector<std::byte>>(static_cast<const std::byte*>(from),
                                                        static_cast<const std::byte*>(from) + bytes);
  enqueue(stream, "a copy", [=] {
    as_copy("a copy", [&] {
      if (is_pinned && sum_of(from, bytes) != sum)
        stop(str("pinned memory of ", bytes, " bytes was changed before its copy ran"));
      if (from_device) access(from, bytes, false);
      if (to_device) access(to, bytes, true);
    });
    std::memmove(to, snapshot ? snapshot->data() : from, bytes);
  });
  if (!to_device && !pinned().holds(to)) wait_on_host(stream);  // pageable: done when the call returns
  return result();
}
cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t stream) {
  enqueue(stream, "a fill", [=] {
    as_copy("a fill", [&] { access(data, bytes, true); });
    std::memset(data, value, bytes);
  });
  return result();
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  begin();
  *stream = make_stream();
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (!broken()) destroy_stream(stream);
  return result();
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!broken()) wait_on_host(stream);
  return result();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (!broken()) wait_in_stream(stream, event);
  return result();
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = make_event();
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (!broken()) destroy_event(event);
  return result();
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!broken()) record(event, stream);
  return result();
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!broken()) wait_on_host(event);
  return result();
}

// TRANCHE_EMULATED_GRAPHS=none: a machine that has none.
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const char* const text = std::getenv("TRANCHE_EMULATED_GRAPHS");
  if (text != nullptr && std::string_view{text} == "none") return cudaErrorStreamCaptureUnsupported;
  if (!broken()) begin_capture(stream);
  return result();
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const auto held = turn();
  if (broken()) return result();
  *graph = new CUgraph_st{end_capture(stream)};
  graphs().insert(*graph);
  return result();
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, std::size_t* count) {
  *count = graph->nodes.size();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  const auto held = turn();
  *executable = new CUgraphExec_st{graph->nodes};
  graphs().insert(*executable);
  return cudaSuccess;
}
// The same kernels in the same order, with any arguments.
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t executable, cudaGraph_t graph, cudaGraphExecUpdateResultInfo* info) {
  *info = {};
  if (!std::ranges::equal(executable->nodes, graph->nodes, {}, &Captured::name, &Captured::name)) {
    info->result = cudaGraphExecUpdateErrorTopologyChanged;
    return cudaErrorGraphExecUpdateFailure;
  }
  executable->nodes = graph->nodes;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const auto held = turn();
  for (const Captured& node : executable->nodes) enqueue(stream, node.name.c_str(), node.run);
  return result();
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const auto held = turn();
  graphs().erase(executable);
  delete executable;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const auto held = turn();
  graphs().erase(graph);
  delete graph;
  return cudaSuccess;
}

// What the allocator tells in addition (runtime/device/cuda/cuda_device.cpp).
extern "C" void tranche_emulator_take(cudaStream_t stream, void* data, std::size_t bytes, std::size_t whole);
extern "C" void tranche_emulator_take(cudaStream_t stream, void* data, std::size_t bytes, std::size_t whole) {
  enqueue(stream, "an allocation", [=] { memory().take(static_cast<std::byte*>(data), bytes, whole); });
}
extern "C" void tranche_emulator_give_back(cudaStream_t stream, void* data, std::size_t whole);
extern "C" void tranche_emulator_give_back(cudaStream_t stream, void* data, std::size_t whole) {
  enqueue(stream, "a release", [=] { memory().give_back(static_cast<std::byte*>(data), whole); });
}
