// Streams and events of the emulated device. What a stream was given runs in its order, and behind the events that it
// waits for; more than that nobody may count on. So a test chooses when the rest runs: at once, as late as it can, or
// in an order drawn from a seed.
//
// Each piece of work knows what precedes it: earlier work of its stream, what its stream waited for, what the host
// waited for before it gave the work. Memory.h asks for that order at every access, so that a wait that is missing is
// found whatever runs when. Threads of the host count as one: what one of them waited for, all have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "tests/cuda_emulation/emulated_cuda.h"

using cudaEvent_t = struct CUevent_st*;

namespace tranche::cuda_emulation {

enum class When { at_once, late, drawn };
// From TRANCHE_STREAM_ORDER: "eager" (if it is not set), "lazy", "random:SEED".
When stream_order();

cudaStream_t make_stream();
void destroy_stream(cudaStream_t stream);
cudaEvent_t make_event();
void destroy_event(cudaEvent_t event);
void record(cudaEvent_t event, cudaStream_t stream);
void wait_in_stream(cudaStream_t stream, cudaEvent_t event);
void wait_on_host(cudaStream_t stream);
void wait_on_host(cudaEvent_t event);
void wait_for_all();  // the host, for all streams
// Between the two what the stream is given does not run, but becomes this. Meanwhile nobody may wait for it, record it
// or have it wait, and no memory is allocated or freed, which may be what it works on.
struct Captured {
  std::string name;
  std::function<void()> run;
};
void begin_capture(cudaStream_t stream);
std::vector<Captured> end_capture(cudaStream_t stream);
bool captures();                                             // any stream
void refuse_capture(const char* what);                       // a fault, if one does
void refuse_capture(cudaStream_t stream, const char* what);  // if this one does
std::size_t live_streams();
std::size_t live_events();

// Work that waits for other processes: never run by the call that gives it. Its place in the stream.
std::uint32_t post(cudaStream_t stream, const char* what, std::function<void()> work);
// The stream goes on as far as that place, as a device does by itself; the host waits for nothing by it.
void come_to(cudaStream_t stream, std::uint32_t place);

// While it is held nothing else of the emulator runs. try_turn: not held if something does.
std::unique_lock<std::recursive_mutex> turn();
std::unique_lock<std::recursive_mutex> try_turn();

// A fault was found: nothing runs any more.
bool broken();

// Of launches and copies: a number for the one that begins, which is the running work's; whether what ran under another
// number precedes that; what it was.
std::uint32_t next_launch();
bool launch_precedes(std::uint32_t launch);
std::string launch_name(std::uint32_t launch);

}  // namespace tranche::cuda_emulation
