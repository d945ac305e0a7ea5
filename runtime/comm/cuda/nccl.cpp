#include "runtime/comm/cuda/nccl.h"

#include <chrono>
#include <thread>

#include "runtime/base/error.h"

namespace tranche::cuda {
namespace {
constexpr std::chrono::microseconds turn{20};  // between two looks at a call that is under way
constexpr std::chrono::minutes longest_meeting{10};
}  // namespace

ncclUniqueId new_nccl_id() {
  ncclUniqueId id;
  const ncclResult_t result = ncclGetUniqueId(&id);
  ensure(Exit::ranks, result == ncclSuccess, "ncclGetUniqueId failed: ", ncclGetErrorString(result), ": ",
         ncclGetLastError(nullptr));
  return id;
}

Nccl::Nccl(const ncclUniqueId& id, std::size_t rank, std::size_t size) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const ncclResult_t begun =
      ncclCommInitRankConfig(&comm_, static_cast<int>(size), id, static_cast<int>(rank), &config);
  // Nobody watches yet: a peer that was killed meanwhile is missed by this alone.
  const auto end = std::chrono::steady_clock::now() + longest_meeting;
  const auto patience = [&] {
    ensure(Exit::ranks, std::chrono::steady_clock::now() < end, "rank ", rank, "/", size, " waited ",
           longest_meeting.count(),
           " minutes for the other ranks to connect their GPUs by NCCL: see what they report; "
           "NCCL_DEBUG=INFO has NCCL say how far it came, and device.collectives \"host\" does without it");
  };
  try {
    settle(begun, "ncclCommInitRankConfig", patience);
  } catch (...) {
    abort();
    throw;
  }
}

void Nccl::give(std::string_view what, const std::function<ncclResult_t(ncclComm_t)>& calls) {
  ncclResult_t result = ncclSuccess;
  {
    const std::lock_guard lock{mutex_};
    ensure(Exit::ranks, comm_ != nullptr, what, ": NCCL's communicator was given up");
    result = ncclGroupStart();
    if (result == ncclSuccess) {
      const ncclResult_t called = calls(comm_);
      result = ncclGroupEnd();  // in any case: a group that stays open would take in what comes next
      if (called != ncclSuccess && called != ncclInProgress) result = called;
    }
  }
  settle(result, what);
}

// A call that does not block has given its work to the stream only when NCCL says that it is done.
void Nccl::settle(ncclResult_t result, std::string_view what, const std::function<void()>& patience) {
  for (;;) {
    {
      const std::lock_guard lock{mutex_};
      if (result == ncclInProgress) {
        ensure(Exit::ranks, comm_ != nullptr, what, ": NCCL's communicator was given up");
        const ncclResult_t asked = ncclCommGetAsyncError(comm_, &result);
        if (asked != ncclSuccess) result = asked;
      }
      if (result == ncclSuccess) return;
      ensure(Exit::ranks, result == ncclInProgress, what, " failed: ", why(result));
    }
    if (patience) patience();
    std::this_thread::sleep_for(turn);
  }
}

std::string Nccl::trouble() {
  const std::lock_guard lock{mutex_};
  if (comm_ == nullptr) return {};
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
  if (asked != ncclSuccess) state = asked;
  return state == ncclSuccess || state == ncclInProgress ? std::string{} : why(state);
}

std::string Nccl::why(ncclResult_t result) {
  const char* const last = ncclGetLastError(comm_);
  return str(ncclGetErrorString(result), last == nullptr || *last == 0 ? "" : ": ", last == nullptr ? "" : last);
}

void Nccl::abort() {
  const std::lock_guard lock{mutex_};
  if (comm_ != nullptr) ncclCommAbort(comm_);
  comm_ = nullptr;
}

void Nccl::end() {
  const std::lock_guard lock{mutex_};
  if (comm_ != nullptr) ncclCommDestroy(comm_);
  comm_ = nullptr;
}

}  // namespace tranche::cuda
