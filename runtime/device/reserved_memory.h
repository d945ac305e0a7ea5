// Addresses of this process without memory behind them, until they are wanted.
#pragma once

#include <cstddef>

namespace tranche {

inline constexpr std::size_t page = 4096, huge_page = std::size_t{2} << 20;  // of addresses

// The first of `bytes` addresses (a multiple of `page`) that nothing has and nothing may touch, at a multiple of a huge
// page; null, with errno, where the system has no more. munmap gives them back.
std::byte* reserve_addresses(std::size_t bytes);

// Memory that grows at one place, in huge pages where the system gives them. It holds what the process may use of it,
// and the rest is addresses alone.
class ReservedMemory {
 public:
  // Room for `bytes`; where the process's addresses are limited, for three quarters of what is left. Throws
  // Exit::out_of_memory if that is nothing.
  explicit ReservedMemory(std::size_t bytes);
  ~ReservedMemory();
  ReservedMemory(const ReservedMemory&) = delete;
  ReservedMemory& operator=(const ReservedMemory&) = delete;

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  // Makes [begin, end), multiples of `page`, readable and writable, zero where it is first touched. False: the system
  // promises no more memory.
  bool open(std::size_t begin, std::size_t end);

 private:
  std::size_t bytes_;
  std::byte* data_ = nullptr;
};

}  // namespace tranche
