// NCCL between processes. A group is one piece of a stream's work, which waits for the other ranks' as a GPU's would:
// while one of them waits in it, a thread here goes on with the stream that nobody on this rank asks. What a rank gives
// must be what the others take: that, and every byte that is read and written, is looked up.
//
// Refused, with a line on standard error: a communicator that has ended, a send or a receive outside of a group, a
// group that is not open, a peer or a type that there is none of. A communicator that is still there at the end of the
// program ends it with 70. As NCCL does, one that does not block gives work to its stream only once it was asked how it
// is.
//
// TRANCHE_EMULATED_NCCL_FAULT=RANK:NUMBER: that rank's collective of that number, from 1, never ends, and NCCL says so.
#include "tests/cuda_emulation/library/nccl.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/base/error.h"
#include "tests/cuda_emulation/library/device_work.h"
#include "tests/cuda_emulation/library/nccl_mail.h"

using namespace tranche;
using namespace tranche::cuda_emulation;

namespace {

std::size_t bytes_of_type(std::uint64_t type) {
  if (type == ncclUint8) return 1;
  return type == ncclFloat32 ? 4 : 2;
}

// A message where it lies on this rank's device.
struct Part {
  Message message;
  std::byte* data;
  bool adds = false;  // what came, to what is there
  std::size_t bytes() const { return message.count * bytes_of_type(message.type); }
};
// What one group has the stream do.
struct Round {
  std::uint64_t number = 0;
  std::string op;
  std::vector<Part> parts;
  cudaStream_t stream = nullptr;
};

// What work under way holds, too: a communicator may be given up meanwhile.
struct Shared {
  std::unique_ptr<Mail> mail;
  std::atomic<bool> given_up = false;
  std::atomic<ncclResult_t> error = ncclSuccess;
  std::atomic<std::uint64_t> done = 0;  // rounds
};

bool is_planted(std::size_t rank, std::uint64_t round) {
  static const char* const planted = std::getenv("TRANCHE_EMULATED_NCCL_FAULT");
  return planted != nullptr && str(rank, ":", round) == planted;
}

std::chrono::seconds patience() {
  static const char* const text = std::getenv("TRANCHE_EMULATED_PATIENCE");
  return std::chrono::seconds{text == nullptr ? 60 : std::atoi(text)};
}

// What a collective that was given up brought may be anything.
void bring_anything(const Round& round) {
  for (const Part& part : round.parts) {
    if (part.message.sends) continue;
    access(part.data, part.bytes(), true);
    std::memset(part.data, 0xEE, part.bytes());
  }
}

template <class T> void add_numbers_of(std::byte* to, const std::byte* from, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    T sum, each;
    std::memcpy(&sum, to + i * sizeof(T), sizeof(T));
    std::memcpy(&each, from + i * sizeof(T), sizeof(T));
    sum = from_float<T>(to_float(sum) + to_float(each));
    std::memcpy(to + i * sizeof(T), &sum, sizeof(T));
  }
}
// Rounded to the type with each rank that is added, as NCCL's rings round.
void add_numbers(const Part& part, const std::byte* from) {
  switch (part.message.type) {
    case ncclFloat16: return add_numbers_of<float16>(part.data, from, part.message.count);
    case ncclBfloat16: return add_numbers_of<bfloat16>(part.data, from, part.message.count);
    case ncclFloat32: return add_numbers_of<float>(part.data, from, part.message.count);
    default: stop("a sum of bytes");
  }
}

// False: it was given up before it was done.
bool carry_out(Shared& shared, const Round& round) {
  Mail& mail = *shared.mail;
  const Mail::Until until = [&](const std::function<bool()>& holds, const std::function<std::string()>& whom) {
    const auto begin = std::chrono::steady_clock::now();
    while (!holds()) {
      if (shared.given_up) return false;
      if (std::chrono::steady_clock::now() - begin > patience())
        stop(str("rank ", mail.rank(), " waited in vain for ", whom(), " in round ", round.number));
      std::this_thread::sleep_for(std::chrono::microseconds{50});
    }
    return true;
  };
  if (is_planted(mail.rank(), round.number)) {
    shared.error = ncclRemoteError;
    if (!until([] { return false; }, [] { return std::string{"nobody"}; })) return false;
  }
  if (!mail.begin(round.number, until)) return false;
  std::vector<Message> messages;
  std::size_t offset = 0;
  for (const Part& part : round.parts) {
    Message& message = messages.emplace_back(part.message);
    if (!message.sends) continue;
    message.offset = offset;
    if (offset + part.bytes() > Mail::most_bytes) stop("more bytes than the emulator carries");
    access(part.data, part.bytes(), false);
    std::memcpy(mail.bytes() + offset, part.data, part.bytes());
    offset += (part.bytes() + 15) / 16 * 16;
  }
  if (!mail.post(round.number, round.op, messages, until)) return false;
  // Ranks that do not fit stand still, until somebody notices.
  if (const std::string why = mail.mismatch();
      !why.empty() && !until([] { return false; }, [&] { return "a fit: " + why; }))
    return false;
  std::vector<std::size_t> read(mail.size());
  for (const Part& part : round.parts) {
    if (part.message.sends) continue;
    const std::byte* const came = mail.from(part.message.peer, read[part.message.peer]++);
    if (part.adds) access(part.data, part.bytes(), false);
    access(part.data, part.bytes(), true);
    if (part.adds)
      add_numbers(part, came);
    else
      std::memcpy(part.data, came, part.bytes());
  }
  mail.taken(round.number);
  return true;
}

}  // namespace

struct ncclComm {
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  bool blocks = true;
  std::atomic<bool> connected = false;
  std::uint64_t issued = 0;
  std::vector<Round> not_given;  // to their streams
  std::mutex mutex;              // of what was given
  cudaStream_t newest_stream = nullptr;
  std::uint32_t newest_place = 0;
  std::atomic<std::uint64_t> given = 0;  // rounds
  std::thread goes_on;
  std::atomic<bool> ends = false;

  // Everything that is not given goes to its stream; false: the emulator is busy.
  bool give() {
    if (not_given.empty()) return true;
    const auto held = blocks ? turn() : try_turn();
    if (!held) return false;
    for (Round& round : not_given) {
      const auto work = [held_by = shared, round] {
        as_copy(round.op.c_str(), [&] {
          if (!carry_out(*held_by, round)) bring_anything(round);
        });
        held_by->done = round.number;
      };
      const std::lock_guard lock{mutex};
      newest_stream = round.stream;
      newest_place = post(round.stream, "a collective", work);
      given = round.number;
    }
    not_given.clear();
    return true;
  }

  // As the device does by itself.
  void go_on() {
    while (!ends) {
      std::this_thread::sleep_for(std::chrono::microseconds{200});
      const std::uint64_t next = shared->done + 1;
      if (given < next || broken() || (stream_order() != When::at_once && !shared->mail->awaited(next))) continue;
      cudaStream_t stream = nullptr;
      std::uint32_t place = 0;
      {
        const std::lock_guard lock{mutex};
        stream = newest_stream;
        place = newest_place;
      }
      try {
        come_to(stream, place);
      } catch (const Fault&) {  // told, and nothing runs any more
        return;
      }
    }
  }
  void end() {
    ends = true;
    if (goes_on.joinable()) goes_on.join();
  }
};

namespace {

std::mutex& registry() {
  static std::mutex* const one = new std::mutex;
  return *one;
}
std::set<ncclComm_t>& live() {
  static std::set<ncclComm_t>* const all = new std::set<ncclComm_t>;
  return *all;
}
bool lives(ncclComm_t comm) {
  const std::lock_guard lock{registry()};
  return live().contains(comm);
}

ncclResult_t refuse(ncclResult_t result, const std::string& why) {
  std::fprintf(stderr, "emulated NCCL: %s\n", why.c_str());
  return result;
}
ncclResult_t gone(const char* what) {
  return refuse(ncclInvalidArgument, str(what, ": a communicator that has ended, or never was"));
}

[[gnu::destructor]] void tell_leaks() {
  if (broken() || live().empty()) return;
  std::fprintf(stderr, "emulated NCCL: leaked %zu communicators\n", live().size());
  std::fflush(nullptr);
  ::_exit(70);
}

thread_local int open_groups = 0;
thread_local ncclComm_t of_group = nullptr;
thread_local Round group;

ncclResult_t add(const char* op, const std::vector<Part>& parts, ncclComm_t comm, cudaStream_t stream) {
  if (!lives(comm)) return gone(op);
  if (!comm->connected) return refuse(ncclInvalidUsage, str(op, ": not every rank is there yet"));
  for (const Part& part : parts) {
    if (part.message.peer >= comm->shared->mail->size())
      return refuse(ncclInvalidArgument, str(op, ": there is no rank ", static_cast<int>(part.message.peer)));
    if (part.message.type != ncclUint8 && part.message.type != ncclFloat32 && part.message.type != ncclFloat16 &&
        part.message.type != ncclBfloat16)
      return refuse(ncclInvalidArgument, str(op, ": type ", part.message.type));
  }
  if (of_group != nullptr && (of_group != comm || group.op != op || group.stream != stream))
    return refuse(ncclInvalidUsage, str("a group of ", group.op, " and ", op, " is not emulated"));
  of_group = comm;
  group.op = op;
  group.stream = stream;
  group.parts.insert(group.parts.end(), parts.begin(), parts.end());
  if (group.parts.size() > Mail::most_messages) return refuse(ncclInvalidUsage, "too many messages for the emulator");
  return ncclSuccess;
}

std::byte* at(const void* data) { return static_cast<std::byte*>(const_cast<void*>(data)); }

}  // namespace

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclInProgress: return "NCCL operation in progress";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    case ncclSystemError: return "unhandled system error";
    case ncclInternalError: return "internal error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclInvalidArgument: break;
  }
  return "invalid argument";
}
const char* ncclGetLastError(ncclComm_t) { return ""; }

ncclResult_t ncclGetVersion(int* version) {
  const char* const text = std::getenv("TRANCHE_EMULATED_NCCL");
  *version = text == nullptr ? 22809 : std::atoi(text);
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const std::string name = Mail::found();
  if (name.size() >= sizeof id->internal) return refuse(ncclSystemError, name + " is too long a name");
  *id = {};
  name.copy(id->internal, name.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  auto made = std::make_unique<ncclComm>();
  if (config->magic != 0xcafebeef) return refuse(ncclInvalidArgument, "a configuration that was not initialised");
  try {
    made->shared->mail =
        std::make_unique<Mail>(id.internal, static_cast<std::size_t>(rank), static_cast<std::size_t>(ranks));
  } catch (const Error& error) {
    return refuse(ncclInvalidArgument, error.what());
  }
  made->blocks = config->blocking != 0;
  made->goes_on = std::thread{[it = made.get()] { it->go_on(); }};
  *comm = made.release();
  {
    const std::lock_guard lock{registry()};
    live().insert(*comm);
  }
  ncclResult_t state = ncclInProgress;
  while ((*comm)->blocks && state == ncclInProgress) ncclCommGetAsyncError(*comm, &state);
  return state;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  if (!lives(comm)) return gone("ncclCommGetAsyncError");
  if (!comm->connected && comm->shared->mail->all_joined()) comm->connected = true;
  *error = comm->shared->error;
  if (*error == ncclSuccess && (!comm->connected || !comm->give())) *error = ncclInProgress;
  if (*error == ncclSuccess && broken()) *error = ncclUnhandledCudaError;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  {
    const std::lock_guard lock{registry()};
    if (live().erase(comm) == 0) return gone("ncclCommAbort");
  }
  comm->shared->given_up = true;
  comm->end();
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (!lives(comm)) return gone("ncclCommDestroy");
  if (!broken() && (comm->given != comm->shared->done || !comm->not_given.empty()))
    return refuse(ncclInvalidUsage,
                  str("ncclCommDestroy: ", comm->given - comm->shared->done, " rounds are under way"));
  {
    const std::lock_guard lock{registry()};
    live().erase(comm);
  }
  comm->end();
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  if (open_groups++ == 0) {
    of_group = nullptr;
    group = {};
  }
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (open_groups == 0) return refuse(ncclInvalidUsage, "ncclGroupEnd: no group is open");
  if (--open_groups > 0 || of_group == nullptr) return ncclSuccess;
  const ncclComm_t comm = std::exchange(of_group, nullptr);
  group.number = ++comm->issued;
  comm->not_given.push_back(std::exchange(group, {}));
  if (comm->blocks) comm->give();
  return comm->blocks ? ncclSuccess : ncclInProgress;
}

ncclResult_t ncclSend(const void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  if (open_groups == 0) return refuse(ncclInvalidUsage, "ncclSend outside of a group may wait for ever");
  return add("ncclSend and ncclRecv",
             {{{.peer = static_cast<std::uint64_t>(peer), .count = count, .type = type, .sends = true}, at(data)}},
             comm, stream);
}
ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  if (open_groups == 0) return refuse(ncclInvalidUsage, "ncclRecv outside of a group may wait for ever");
  return add("ncclSend and ncclRecv",
             {{{.peer = static_cast<std::uint64_t>(peer), .count = count, .type = type}, at(data)}}, comm, stream);
}

ncclResult_t ncclAllGather(const void* mine, void* all, std::size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  if (!lives(comm)) return gone("ncclAllGather");
  const std::size_t bytes = count * bytes_of_type(type);
  std::vector<Part> parts;
  for (std::uint64_t peer = 0; peer < comm->shared->mail->size(); ++peer) {
    std::byte* const place = at(all) + peer * bytes;
    if (peer == comm->shared->mail->rank() && place == mine) continue;  // in place
    parts.push_back({{.peer = peer, .count = count, .type = type, .sends = true}, at(mine)});
    parts.push_back({{.peer = peer, .count = count, .type = type}, place});
  }
  ncclGroupStart();
  const ncclResult_t added = add("ncclAllGather", parts, comm, stream);
  const ncclResult_t ended = ncclGroupEnd();
  return added != ncclSuccess ? added : ended;
}

// A ring's order: a rank's row begins at the rank behind it, and comes to the rank itself last.
ncclResult_t ncclReduceScatter(const void* all, void* mine, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
  if (!lives(comm)) return gone("ncclReduceScatter");
  if (op != ncclSum || type == ncclUint8) return refuse(ncclInvalidArgument, "ncclReduceScatter: only sums of numbers");
  const std::size_t bytes = count * bytes_of_type(type);
  std::vector<Part> parts;
  for (std::size_t step = 1; step <= comm->shared->mail->size(); ++step) {
    const std::uint64_t peer = (comm->shared->mail->rank() + step) % comm->shared->mail->size();
    parts.push_back({{.peer = peer, .count = count, .type = type, .sends = true}, at(all) + peer * bytes});
    parts.push_back({{.peer = peer, .count = count, .type = type}, at(mine), step > 1});
  }
  ncclGroupStart();
  const ncclResult_t added = add("ncclReduceScatter", parts, comm, stream);
  const ncclResult_t ended = ncclGroupEnd();
  return added != ncclSuccess ? added : ended;
}
