// CUDA's language for g++: what kernel sources use of it (runtime/ops/cuda/language.cuh), as calls of the emulator.
// A construct that is missing here is one that no kernel may use yet: adding it means checking it, too.
//
// Kernel sources are compiled with -fsanitize=thread, whose calls before every load and store the emulator answers
// (memory.h). So nothing here may touch host memory on behalf of a kernel: indices come by value.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>
#include <type_traits>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1) : x(x_size), y(y_size), z(z_size) {}
};
using cudaStream_t = struct CUstream_st*;

namespace tranche::cuda_emulation {

using Place = std::source_location;

uint3 thread_index();
uint3 block_index();
dim3 block_size();
dim3 grid_size();

// What `key` names in the running block; the same bytes for each of its threads.
void* shared_memory(const void* key, std::size_t bytes);
void barrier(const Place& place);
void warp_barrier(unsigned mask, const Place& place);
// Each lane of `mask` gives `mine` and receives that of lane `from`.
std::uint64_t exchange(const char* name, unsigned mask, std::uint64_t mine, unsigned from, const Place& place);
unsigned ballot(const char* name, unsigned mask, bool mine, const Place& place);
unsigned lane();

// Runs body(arguments) once for each thread of the grid. Throws Fault (launch.h).
void launch(const char* kernel, dim3 grid, dim3 block, void (*body)(const void*), const void* arguments);

template <class T> T shuffled(const char* name, unsigned mask, T value, unsigned from, const Place& place) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t) && std::is_trivially_copyable_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = exchange(name, mask, bits, from, place);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// As a kernel's parameters on a GPU, each thread has its own copy. Not instrumented: arguments lie on the host's stack.
template <class... Parameters> struct Call {
  template <class Kernel, class... Arguments>
  static void run(const char* name, Kernel* kernel, dim3 grid, dim3 block, const Arguments&... arguments) {
    const auto body = [&]() __attribute__((no_sanitize("thread"))) { kernel(Parameters(arguments)...); };
    using Body = decltype(body);
    launch(
        name, grid, block,
        [](const void* it) __attribute__((no_sanitize("thread"))) { (*static_cast<const Body*>(it))(); }, &body);
  }
};
// Does `work` in the stream's order (streams.h); that of no stream, at once.
void enqueue(cudaStream_t stream, const char* what, std::function<void()> work);

template <class... Parameters, class... Arguments>
void launch_kernel(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream,
                   const Arguments&... arguments) {
  enqueue(stream, name, [=] { Call<Parameters...>::run(name, kernel, grid, block, arguments...); });
}

}  // namespace tranche::cuda_emulation

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define threadIdx (::tranche::cuda_emulation::thread_index())
#define blockIdx (::tranche::cuda_emulation::block_index())
#define blockDim (::tranche::cuda_emulation::block_size())
#define gridDim (::tranche::cuda_emulation::grid_size())

#define TRANCHE_SHARED(T, name, count) \
  static const char name##_key = 0;    \
  T* const name = static_cast<T*>(::tranche::cuda_emulation::shared_memory(&name##_key, sizeof(T) * (count)))
#define TRANCHE_UNROLL _Pragma("GCC unroll 16")
#define TRANCHE_FUSED(a, b, c) __builtin_fmaf(a, b, c)
#define TRANCHE_LAUNCH(kernel, grid, block, stream, ...) \
  ::tranche::cuda_emulation::launch_kernel(#kernel, kernel, grid, block, stream, __VA_ARGS__)

inline void __syncthreads(const std::source_location& place = std::source_location::current()) {
  tranche::cuda_emulation::barrier(place);
}
inline void __syncwarp(unsigned mask = ~0u, const std::source_location& place = std::source_location::current()) {
  tranche::cuda_emulation::warp_barrier(mask, place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int by, int = 32,
                  const std::source_location& place = std::source_location::current()) {
  return tranche::cuda_emulation::shuffled("__shfl_xor_sync", mask, value,
                                           tranche::cuda_emulation::lane() ^ static_cast<unsigned>(by), place);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int from, int = 32,
              const std::source_location& place = std::source_location::current()) {
  return tranche::cuda_emulation::shuffled("__shfl_sync", mask, value, static_cast<unsigned>(from) % 32, place);
}
inline unsigned __ballot_sync(unsigned mask, int vote,
                              const std::source_location& place = std::source_location::current()) {
  return tranche::cuda_emulation::ballot("__ballot_sync", mask, vote != 0, place);
}
