#include "runtime/comm/mpi_messages.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "runtime/base/error.h"

namespace tranche {
namespace {

// MPI makes progress only inside its calls, so finished() is what moves the bytes.
template <class Finished> void wait_until(const Patience& patience, Finished finished) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  std::chrono::microseconds sleep{10};
  while (!finished()) {
    if (Clock::now() - begin < patience.looking) {
      ::sched_yield();
    } else {
      std::this_thread::sleep_for(sleep);
      sleep = std::min(sleep * 2, patience.longest_sleep);
    }
  }
}

template <class Start>
void in_pieces(std::size_t bytes, std::size_t largest, std::vector<MPI_Request>& requests, Start start) {
  for (std::size_t begin = 0; begin < bytes; begin += largest)
    start(begin, static_cast<int>(std::min(largest, bytes - begin)), &requests.emplace_back(MPI_REQUEST_NULL));
}

}  // namespace

void succeed(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, text, &length);
  fail(Exit::ranks, str(call, " failed: ", text));
}

void abort_job(int exit_code) {
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

void wait_for(const Patience& patience, MPI_Request& request, const char* call) {
  wait_until(patience, [&] {
    int done = 0;
    succeed(MPI_Test(&request, &done, MPI_STATUS_IGNORE), call);
    return done != 0;
  });
}

void Transfer::send(std::span<const std::byte> row, std::size_t to, std::size_t largest, MPI_Comm world) {
  in_pieces(row.size(), largest, requests_, [&](std::size_t begin, int bytes, MPI_Request* request) {
    succeed(MPI_Isend(row.data() + begin, bytes, MPI_BYTE, static_cast<int>(to), 0, world, request), "MPI_Isend");
  });
}

void Transfer::receive(std::span<std::byte> row, std::size_t from, std::size_t largest, MPI_Comm world) {
  in_pieces(row.size(), largest, requests_, [&](std::size_t begin, int bytes, MPI_Request* request) {
    succeed(MPI_Irecv(row.data() + begin, bytes, MPI_BYTE, static_cast<int>(from), 0, world, request), "MPI_Irecv");
  });
}

void Transfer::wait() {
  wait_until(for_bytes, [&] {
    int done = 0;
    succeed(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE),
            "MPI_Testall");
    return done != 0;
  });
}

}  // namespace tranche
