// The emulated device's memory, and what each byte of it is known to be: allocated or not, initialised or not, by which
// threads it was last read and written. Every load and store of a kernel is looked up here, and stops the launch
//
//   outside any live allocation, on the host's side included, or not aligned to its size;
//   at a byte that nothing has written (an uninitialised read);
//   beside another thread's access to the same byte, one of them a write, without a barrier between them (a race).
//
// Accesses are ordered within a thread, by launches of one stream, by events between streams (streams.h), within a
// block by __syncthreads, and within a warp by __syncwarp as well; blocks of one launch are not ordered. Freed memory
// is not used again while anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace tranche::cuda_emulation {

class Memory {
 public:
  Memory();

  enum class Content { unknown, given };  // given: a test fills it from the host
  std::byte* allocate(std::size_t bytes, const std::string& name, Content content);
  void free(std::byte* data);

  // Of an allocation that a caching allocator divides: the first `bytes` of `whole` are in use from now on, of unknown
  // content, or none of it is.
  void take(std::byte* data, std::size_t bytes, std::size_t whole);
  void give_back(std::byte* data, std::size_t whole);
  bool holds(const void* address) const;  // whether allocated or not
  std::size_t live() const { return live_; }

  // From here on the host may touch the memory only between open and close: anything else ends the program.
  void close();
  void open();

  void* allocate_shared(std::size_t bytes);  // null: a block has no more
  void forget_shared();                      // a new block begins

  void access(const void* address, std::size_t bytes, bool writes, const void* instruction);

 private:
  struct Access {
    std::uint32_t launch = 0, thread = 0, barriers = 0, warp_barriers = 0;
  };
  enum class State : std::uint8_t { none, unknown, known, freed };
  struct Cell {  // of one byte
    Access write, read, other_read;
    State state;
  };
  struct Allocation {
    std::size_t bytes = 0;
    std::string name;
  };

  static bool ordered(const Access& before);
  [[noreturn]] void report(const std::string& what, std::size_t at, const void* address, std::size_t bytes,
                           const void* instruction) const;
  [[noreturn]] void report_race(const char* before, const Access& other, std::size_t at, std::size_t bytes, bool writes,
                                const void* instruction) const;
  std::byte* place(std::size_t at, std::size_t bytes, const std::string& name, State state);

  std::byte* base_ = nullptr;
  Cell* cells_ = nullptr;
  std::map<std::size_t, Allocation> allocations_;  // by offset; freed ones too, for reports
  std::size_t next_, live_ = 0, next_shared_ = 0;
};

Memory& memory();

}  // namespace tranche::cuda_emulation
