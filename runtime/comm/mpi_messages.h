// MPI's messages, in the ways that the communicator and the session need them.
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

namespace tranche {

// Throws Exit::ranks with MPI's text if a call did not succeed.
void succeed(int status, const char* call);

[[noreturn]] void abort_job(int exit_code);

// How long to look again and again before sleeping. Ranks may outnumber cores, so even looking gives way to others.
struct Patience {
  std::chrono::microseconds looking;
  std::chrono::microseconds longest_sleep;
};
// A peer may be computing for long: waiting must not take a core from anyone.
inline constexpr Patience for_peers{std::chrono::microseconds{20}, std::chrono::microseconds{200}};
// Every rank is there, and bytes move only while we look.
inline constexpr Patience for_bytes{std::chrono::milliseconds{200}, std::chrono::microseconds{50}};

void wait_for(const Patience& patience, MPI_Request& request, const char* call);

// A row on its way to or from one peer: messages of at most `largest` bytes in one order, matched in that order.
class Transfer {
 public:
  void send(std::span<const std::byte> row, std::size_t to, std::size_t largest, MPI_Comm world);
  void receive(std::span<std::byte> row, std::size_t from, std::size_t largest, MPI_Comm world);
  void wait();

 private:
  std::vector<MPI_Request> requests_;
};

}  // namespace tranche
