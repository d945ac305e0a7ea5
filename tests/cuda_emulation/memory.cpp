#include "tests/cuda_emulation/memory.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdio>

#include "runtime/base/error.h"
#include "runtime/base/round.h"
#include "tests/cuda_emulation/launch.h"
#include "tests/cuda_emulation/streams.h"

namespace tranche::cuda_emulation {
namespace {

// Shared memory lies first. Neighbours are so far apart that a small step out of one meets nothing.
constexpr std::size_t shared_span = std::size_t{1} << 20, span = std::size_t{256} << 20, gap = 256;

void* reserve(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(memory != MAP_FAILED, "the emulator cannot reserve ", bytes, " bytes of address space");
  return memory;
}

// "file:line" of an instruction, if binutils knows it.
std::string line_of(const void* instruction) {
  Dl_info found{};
  if (::dladdr(instruction, &found) == 0 || found.dli_fname == nullptr) return "an unknown line";
  const std::uintptr_t offset =
      reinterpret_cast<std::uintptr_t>(instruction) - reinterpret_cast<std::uintptr_t>(found.dli_fbase) - 1;
  char line[512] = "an unknown line";
  if (std::FILE* output = ::popen(
          str("addr2line -e ", found.dli_fname, " ", reinterpret_cast<const void*>(offset), " 2>&1").c_str(), "r")) {
    if (std::fgets(line, sizeof line, output) == nullptr) line[0] = 0;
    ::pclose(output);
  }
  const std::string text{line};
  return text.substr(0, text.find_first_of(" \n"));
}

std::uint32_t block_of(std::uint32_t thread) { return (thread - 1) / 1024; }
std::uint32_t warp_of(std::uint32_t thread) { return (thread - 1) / 32; }

}  // namespace

Memory& memory() {
  static Memory all;
  return all;
}

Memory::Memory()
    : base_(static_cast<std::byte*>(reserve(span))),
      cells_(static_cast<Cell*>(reserve(span * sizeof(Cell)))),
      next_(shared_span) {}

std::byte* Memory::place(std::size_t at, std::size_t bytes, const std::string& name, State state) {
  for (std::size_t i = at; i < at + bytes; ++i) cells_[i] = {{}, {}, {}, state};
  allocations_[at] = {bytes, name};
  return base_ + at;
}

std::byte* Memory::allocate(std::size_t bytes, const std::string& name, Content content) {
  if (live_ == 0) {  // nobody holds a pointer: begin again
    ::madvise(cells_ + shared_span, (next_ - shared_span) * sizeof(Cell), MADV_DONTNEED);
    allocations_.erase(allocations_.lower_bound(shared_span), allocations_.end());
    next_ = shared_span;
  }
  const std::size_t at = next_;
  if (bytes > span - gap - at) return nullptr;
  next_ = padded(at + bytes + gap, gap);
  ++live_;
  return place(at, bytes, name, content == Content::given ? State::known : State::unknown);
}

void Memory::free(std::byte* data) {
  const std::size_t at = static_cast<std::size_t>(data - base_);
  for (std::size_t i = at; i < at + allocations_.at(at).bytes; ++i) cells_[i].state = State::freed;
  --live_;
}

void Memory::take(std::byte* data, std::size_t bytes, std::size_t whole) {
  const auto at = static_cast<std::size_t>(data - base_);
  for (std::size_t i = at; i < at + whole; ++i) cells_[i].state = i < at + bytes ? State::unknown : State::none;
  allocations_.at(at).bytes = bytes;
}
void Memory::give_back(std::byte* data, std::size_t whole) {
  const auto at = static_cast<std::size_t>(data - base_);
  for (std::size_t i = at; i < at + whole; ++i) cells_[i].state = State::freed;
  allocations_.at(at).bytes = whole;
}

bool Memory::holds(const void* address) const {
  const auto* const byte = static_cast<const std::byte*>(address);
  return byte >= base_ && byte < base_ + span;
}

void Memory::open() { ::mprotect(base_, span, PROT_READ | PROT_WRITE); }
void Memory::close() { ::mprotect(base_, span, PROT_NONE); }

void* Memory::allocate_shared(std::size_t bytes) {
  std::size_t used = bytes;
  for (const auto& [at, each] : allocations_)
    if (at < shared_span) used += each.bytes;
  if (used > most_shared_bytes) return nullptr;
  const std::size_t at = next_shared_;
  next_shared_ = padded(at + bytes + gap, gap);
  return place(at, bytes, "shared memory", State::unknown);
}

void Memory::forget_shared() {
  for (std::size_t i = 0; i < next_shared_; ++i) cells_[i].state = State::none;
  allocations_.erase(allocations_.begin(), allocations_.lower_bound(shared_span));
  next_shared_ = 0;
}

bool Memory::ordered(const Access& before) {
  if (before.thread == 0) return true;
  if (before.launch != running.launch) return launch_precedes(before.launch);
  if (before.thread == running.thread) return true;
  if (block_of(before.thread) != block_of(running.thread)) return false;
  if (before.barriers != running.barriers) return true;
  return warp_of(before.thread) == warp_of(running.thread) && before.warp_barriers != running.warp_barriers;
}

void Memory::report(const std::string& what, std::size_t at, const void* address, std::size_t bytes,
                    const void* instruction) const {
  std::string where = str("host memory ", address);
  if (at < span) {
    where = "memory that was never allocated";
    if (auto next = allocations_.upper_bound(at); next != allocations_.begin()) {
      const auto& [begin, allocation] = *std::prev(next);
      where = str("byte ", at - begin, " of the ", allocation.bytes, " of ", allocation.name);
    }
  }
  stop(str(what, " of ", bytes, " bytes at ", where, instruction == nullptr ? "" : ", " + line_of(instruction)));
}

void Memory::report_race(const char* before, const Access& other, std::size_t at, std::size_t bytes, bool writes,
                         const void* instruction) const {
  if (other.launch != running.launch)
    report(str("no order between two streams: ", launch_name(other.launch), " ", before, " it, and nothing waits for ",
               "that before this ", writes ? "write" : "read"),
           at, base_ + at, bytes, instruction);
  report(str("race with thread ", (other.thread - 1) % 1024, " of block ", block_of(other.thread), ", which ", before,
             " it with no barrier between: ", writes ? "write" : "read"),
         at, base_ + at, bytes, instruction);
}

void Memory::access(const void* address, std::size_t bytes, bool writes, const void* instruction) {
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  if (number >= running.stack_begin && number < running.stack_end) return;
  const std::size_t at = static_cast<std::size_t>(static_cast<const std::byte*>(address) - base_);
  const std::string_view way = writes ? "write" : "read";
  if (at >= span) report(std::string{way}, at, address, bytes, instruction);
  if ((number & (bytes - 1)) != 0) report(str("misaligned ", way), at, address, bytes, instruction);
  const Access mine{running.launch, running.thread, running.barriers, running.warp_barriers};
  for (std::size_t i = at; i < at + bytes; ++i) {
    Cell& cell = cells_[i];
    if (cell.state == State::none) report(str("out-of-bounds ", way), at, address, bytes, instruction);
    if (cell.state == State::freed) report(str(way, " after it was freed,"), at, address, bytes, instruction);
    if (!ordered(cell.write)) report_race("wrote", cell.write, at, bytes, writes, instruction);
    if (writes) {
      if (!ordered(cell.read)) report_race("read", cell.read, at, bytes, writes, instruction);
      if (!ordered(cell.other_read)) report_race("read", cell.other_read, at, bytes, writes, instruction);
      cell.write = mine;
      cell.state = State::known;
      continue;
    }
    if (cell.state == State::unknown) report("uninitialised read", at, address, bytes, instruction);
    if (cell.read.launch != mine.launch) cell.other_read = {};
    // Of two earlier readers, keeps one of another block, which no barrier ever orders.
    else if (cell.read.thread != mine.thread &&
             (cell.other_read.thread == 0 || block_of(cell.read.thread) != block_of(mine.thread)))
      cell.other_read = cell.read;
    cell.read = mine;
  }
}

}  // namespace tranche::cuda_emulation

// What g++ calls before a load or store of code compiled with -fsanitize=thread. Its own library knows no fibres.
namespace {
void look(const void* address, std::size_t bytes, bool writes, const void* instruction) {
  if (tranche::cuda_emulation::running.thread != 0)
    tranche::cuda_emulation::memory().access(address, bytes, writes, instruction);
}
}  // namespace

#define EMULATED_ACCESS(kind, bytes)                                                                          \
  extern "C" void __tsan_##kind##read##bytes(void* p) { look(p, bytes, false, __builtin_return_address(0)); } \
  extern "C" void __tsan_##kind##write##bytes(void* p) { look(p, bytes, true, __builtin_return_address(0)); }
#define EMULATED_ACCESSES(kind) \
  EMULATED_ACCESS(kind, 1)      \
  EMULATED_ACCESS(kind, 2) EMULATED_ACCESS(kind, 4) EMULATED_ACCESS(kind, 8) EMULATED_ACCESS(kind, 16)
EMULATED_ACCESSES()
EMULATED_ACCESSES(unaligned_)
EMULATED_ACCESSES(volatile_)
extern "C" void __tsan_read_range(void* p, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) look(static_cast<std::byte*>(p) + i, 1, false, __builtin_return_address(0));
}
extern "C" void __tsan_write_range(void* p, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) look(static_cast<std::byte*>(p) + i, 1, true, __builtin_return_address(0));
}
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_vptr_update(void**, void*) {}
extern "C" void __tsan_vptr_read(void**) {}
