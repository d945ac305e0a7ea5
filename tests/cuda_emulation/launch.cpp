#include "tests/cuda_emulation/launch.h"

#include <sys/mman.h>

#include <algorithm>
#include <boost/context/detail/fcontext.hpp>
#include <map>
#include <random>
#include <vector>

#include "runtime/base/error.h"
#include "tests/cuda_emulation/memory.h"
#include "tests/cuda_emulation/streams.h"

namespace tranche::cuda_emulation {

constinit thread_local Running running;

namespace {

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

constexpr unsigned most_threads = 1024, warp_size = 32;
constexpr std::size_t stack_bytes = std::size_t{64} << 10, guard_bytes = 4096;

enum class Wait { nothing, barrier, warp, done };

struct Thread {
  uint3 index{};
  unsigned number = 0;  // in its block
  fcontext_t context = nullptr;
  Wait wait = Wait::done;
  // What it waits for.
  const char* name = "";
  Place place;
  unsigned mask = 0, from = 0, ballot = 0;
  std::uint64_t given = 0, received = 0;
  bool vote = false;
  std::uint32_t warp_barriers = 0;
};

// The running block.
struct Block {
  const char* kernel = "";
  dim3 grid, size;
  uint3 index{};
  unsigned threads = 0;
  std::vector<Thread> all = std::vector<Thread>(most_threads);
  Thread* current = nullptr;
  fcontext_t scheduler = nullptr;
  void (*body)(const void*) = nullptr;
  const void* arguments = nullptr;
  std::map<const void*, void*> shared;
  std::string fault;
};
Block block;

Order chosen = Order::forward;
std::mt19937_64 generator;

std::byte* stack_of(unsigned thread) {
  constexpr std::size_t step = stack_bytes + guard_bytes;
  static std::byte* const all = [] {
    void* memory = ::mmap(nullptr, most_threads * step, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(memory != MAP_FAILED, "the emulator has no memory for the stacks of its threads");
    for (unsigned i = 0; i < most_threads; ++i)
      ::mprotect(static_cast<std::byte*>(memory) + i * step, guard_bytes, PROT_NONE);
    return static_cast<std::byte*>(memory);
  }();
  return all + thread * step + guard_bytes;
}

std::string here() {
  const uint3 b = block.index, t = block.current->index;
  return str("kernel ", block.kernel, ", block (", b.x, ", ", b.y, ", ", b.z, "), thread (", t.x, ", ", t.y, ", ", t.z,
             ")");
}
std::string line_of(const Place& place) { return str(place.file_name(), ":", place.line()); }

// Host code: leaves the thread as it is, never to go on.
void blame(Thread& thread, const std::string& what) {
  block.current = &thread;
  block.fault = str(what, "\n  in ", here(), "\n  at ", thread.name, ", ", line_of(thread.place));
}

void leave() {
  running.thread = 0;
  block.scheduler = jump_fcontext(block.scheduler, nullptr).fctx;
}

void wait_for(Wait what, const char* name, const Place& place) {
  Thread& thread = *block.current;
  thread.wait = what;
  thread.name = name;
  thread.place = place;
  leave();
}

void run_thread(transfer_t from) {
  block.scheduler = from.fctx;
  block.body(block.arguments);
  block.current->wait = Wait::done;
  leave();
}

void resume(Thread& thread) {
  block.current = &thread;
  const auto stack = reinterpret_cast<std::uintptr_t>(stack_of(thread.number));
  running.stack_begin = stack;
  running.stack_end = stack + stack_bytes;
  running.warp_barriers = thread.warp_barriers;
  running.thread = (running.block - 1) * most_threads + thread.number + 1;
  thread.context = jump_fcontext(thread.context, nullptr).fctx;
  running.thread = 0;
}

void put_in_order(std::vector<std::uint32_t>& numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::uint32_t>(i);
  if (chosen == Order::reverse) std::reverse(numbers.begin(), numbers.end());
  if (chosen == Order::random) std::shuffle(numbers.begin(), numbers.end(), generator);
}

// Lets one collective go on if all lanes of its mask have arrived; false: they cannot.
bool meet_in_warp(Thread& first) {
  const unsigned begin = first.number / warp_size * warp_size;
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if ((first.mask >> lane & 1u) == 0) continue;
    if (begin + lane >= block.threads) return blame(first, str("lane ", lane, " of the mask does not exist")), false;
    const Thread& other = block.all[begin + lane];
    if (other.wait == Wait::done) return blame(first, str("lane ", lane, " of the mask has left the kernel")), false;
    if (other.wait == Wait::barrier)
      return blame(first, str("lane ", lane, " of the mask waits at ", other.name, ", ", line_of(other.place))), false;
    if (other.mask != first.mask)
      return blame(first, str("lane ", lane, " names another mask at ", line_of(other.place))), false;
    if (std::strcmp(other.name, first.name) != 0)
      return blame(first, str("lane ", lane, " is at ", other.name, ", ", line_of(other.place))), false;
  }
  unsigned ballot = 0;
  for (unsigned lane = 0; lane < warp_size; ++lane)
    if ((first.mask >> lane & 1u) != 0 && block.all[begin + lane].vote) ballot |= 1u << lane;
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if ((first.mask >> lane & 1u) == 0) continue;
    Thread& thread = block.all[begin + lane];
    if ((first.mask >> (thread.from % warp_size) & 1u) == 0)
      return blame(thread, str("the value of lane ", thread.from, ", which is not in the mask")), false;
    thread.received = block.all[begin + thread.from % warp_size].given;
    thread.ballot = ballot;
  }
  for (unsigned lane = 0; lane < warp_size; ++lane)
    if ((first.mask >> lane & 1u) != 0) block.all[begin + lane].wait = Wait::nothing;
  return true;
}

bool meet_at_barrier() {
  Thread *first = nullptr, *gone = nullptr;
  for (unsigned i = 0; i < block.threads; ++i) {
    Thread& thread = block.all[i];
    if (thread.wait == Wait::done) {
      gone = &thread;
    } else if (first == nullptr) {
      first = &thread;
    } else if (first->place.line() != thread.place.line() || first->place.column() != thread.place.column() ||
               std::strcmp(first->place.file_name(), thread.place.file_name()) != 0) {
      return blame(thread, str("divergent barrier: other threads of the block wait at ", line_of(first->place))), false;
    }
  }
  if (gone != nullptr)
    return blame(*first, str("divergent barrier: thread (", gone->index.x, ", ", gone->index.y, ", ", gone->index.z,
                             ") of the block has left the kernel")),
           false;
  ++running.barriers;
  for (unsigned i = 0; i < block.threads; ++i) block.all[i].wait = Wait::nothing;
  return true;
}

// Until all have left the kernel, or block.fault says why they cannot.
void run_block() {
  static std::vector<std::uint32_t> order;
  order.resize(block.threads);
  for (;;) {
    put_in_order(order);
    bool any = false;
    for (const std::uint32_t i : order) {
      if (block.all[i].wait != Wait::nothing) continue;
      any = true;
      resume(block.all[i]);
      if (!block.fault.empty()) return;
    }
    if (any) continue;
    bool met = false, waits = false;
    for (unsigned i = 0; i < block.threads; ++i) {
      waits = waits || block.all[i].wait == Wait::barrier;
      if (block.all[i].wait != Wait::warp) continue;
      if (!meet_in_warp(block.all[i])) return;
      met = true;
    }
    if (met) continue;
    if (!waits || !meet_at_barrier()) return;
  }
}

void begin_block(std::uint32_t number) {
  const dim3 grid = block.grid, size = block.size;
  block.index = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
  block.shared.clear();
  memory().forget_shared();
  running.block = number + 1;
  running.barriers = 0;
  for (unsigned i = 0; i < block.threads; ++i) {
    Thread& thread = block.all[i];
    thread.index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
    thread.number = i;
    thread.wait = Wait::nothing;
    thread.warp_barriers = 0;
    thread.context = make_fcontext(stack_of(i) + stack_bytes, stack_bytes, run_thread);
  }
}

}  // namespace

std::string_view name_of(Order order) {
  constexpr std::string_view names[] = {"forward", "reverse", "random"};
  return names[static_cast<std::size_t>(order)];
}

void use_order(Order order, std::uint64_t seed) {
  chosen = order;
  generator.seed(seed);
}

void stop(const std::string& what) {
  if (running.copies) {
    running.copies = false;
    running.thread = 0;
    throw Fault{str(what, "\n  in ", running.kernel)};
  }
  block.fault = str(what, "\n  in ", here());
  leave();
  std::abort();  // never resumed
}

uint3 thread_index() { return block.current->index; }
uint3 block_index() { return block.index; }
dim3 block_size() { return block.size; }
dim3 grid_size() { return block.grid; }
unsigned lane() { return block.current->number % warp_size; }

void* shared_memory(const void* key, std::size_t bytes) {
  void*& place = block.shared[key];
  if (place != nullptr) return place;
  place = memory().allocate_shared(bytes);
  if (place == nullptr) stop(str("more than ", most_shared_bytes, " bytes of shared memory"));
  return place;
}

void barrier(const Place& place) { wait_for(Wait::barrier, "__syncthreads", place); }

std::uint64_t exchange(const char* name, unsigned mask, std::uint64_t mine, unsigned from, const Place& place) {
  Thread& thread = *block.current;
  if ((mask >> lane() & 1u) == 0) {
    thread.name = name;
    stop(str(name, ", ", line_of(place), ": the calling lane is not in its own mask"));
  }
  thread.mask = mask;
  thread.given = mine;
  thread.from = from;
  wait_for(Wait::warp, name, place);
  return thread.received;
}
void warp_barrier(unsigned mask, const Place& place) {
  exchange("__syncwarp", mask, 0, lane(), place);
  running.warp_barriers = ++block.current->warp_barriers;
}
unsigned ballot(const char* name, unsigned mask, bool mine, const Place& place) {
  block.current->vote = mine;
  exchange(name, mask, 0, lane(), place);
  return block.current->ballot;
}

void launch(const char* kernel, dim3 grid, dim3 size, void (*body)(const void*), const void* arguments) {
  const std::uint64_t threads = std::uint64_t{size.x} * size.y * size.z;
  const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  if (threads == 0 || threads > most_threads || size.z > 64 || blocks == 0 || grid.x > 0x7FFFFFFFu || grid.y > 65535 ||
      grid.z > 65535)
    throw Fault{str("kernel ", kernel, ": no GPU runs ", blocks, " blocks of ", threads, " threads: grid (", grid.x,
                    ", ", grid.y, ", ", grid.z, "), block (", size.x, ", ", size.y, ", ", size.z, ")")};
  check(blocks * most_threads < 0xFFFFFFFFu, "the emulator counts no more than 4 million blocks");
  block.kernel = running.kernel = kernel;
  block.grid = grid;
  block.size = size;
  block.threads = static_cast<unsigned>(threads);
  block.body = body;
  block.arguments = arguments;
  block.fault.clear();
  running.launch = next_launch();
  std::vector<std::uint32_t> order(blocks);
  put_in_order(order);
  for (const std::uint32_t number : order) {
    begin_block(number);
    run_block();
    if (!block.fault.empty()) throw Fault{block.fault};
  }
}

}  // namespace tranche::cuda_emulation
