// Runs kernels that g++ compiled: one fibre for each CUDA thread, blocks one after another, threads in an order that a
// test chooses. A barrier or a warp's collective is a meeting of fibres.
//
// The first mistake ends the launch before it does harm: Fault says what a kernel did, in which thread and on which
// line. One launch at a time: streams.h sees to that.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tests/cuda_emulation/emulated_cuda.h"

namespace tranche::cuda_emulation {

class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// In which blocks, and the threads between two meetings, run. Results of a correct kernel do not depend on it.
enum class Order { forward, reverse, random };
inline constexpr Order all_orders[] = {Order::forward, Order::reverse, Order::random};
std::string_view name_of(Order order);
void use_order(Order order, std::uint64_t seed = 1);

// Which thread runs, for those who check what it does.
struct Running {
  const char* kernel = "";
  std::uint32_t launch = 0;    // counts launches from 1
  std::uint32_t thread = 0;    // of the grid, from 1; 0: the host runs
  std::uint32_t block = 0;     // of the grid, from 1
  std::uint32_t barriers = 0;  // that the block has passed
  std::uint32_t warp_barriers = 0;
  std::uintptr_t stack_begin = 0, stack_end = 0;
  bool copies = false;  // no kernel, but a copy between memories: its thread is 1
};
extern constinit thread_local Running running;  // constinit: or each use would first ask whether it is made

// Ends the launch from inside a thread of it, or a copy.
[[noreturn]] void stop(const std::string& what);

inline constexpr std::size_t most_shared_bytes = 48 * 1024;  // that a block has without asking for more

}  // namespace tranche::cuda_emulation
