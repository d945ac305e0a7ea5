#include "tests/cuda_emulation/library/nccl_mail.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "runtime/base/error.h"

namespace tranche::cuda_emulation {
namespace {

using Counter = std::atomic<std::uint64_t>;
static_assert(Counter::is_always_lock_free);

struct Head {
  Counter joined;
};
constexpr std::size_t head_bytes = 4096;

std::string said_of(const std::string& verb, std::size_t rank, const std::vector<Message>& messages, std::size_t n) {
  if (n >= messages.size()) return str("rank ", rank, " ", verb, " nothing");
  return str("rank ", rank, " ", verb, " ", messages[n].count, " of type ", messages[n].type);
}

}  // namespace

struct Mail::Box {
  Counter joined, posted, taken;
  char op[32];
  std::uint64_t count;
  Message messages[most_messages];
};

std::string Mail::found() {
  std::string folder = (std::filesystem::temp_directory_path() / "tranche-nccl-XXXXXX").string();
  ensure(Exit::internal, ::mkdtemp(folder.data()) != nullptr, "no folder ", folder);
  const std::string name = folder + "/mail";
  const int file = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  constexpr std::size_t bytes = head_bytes + most_ranks * (sizeof(Box) + most_bytes);
  const bool made = file >= 0 && ::ftruncate(file, static_cast<off_t>(bytes)) == 0;
  if (file >= 0) ::close(file);
  ensure(Exit::internal, made, "cannot make ", name);
  return name;
}

Mail::Mail(const std::string& name, std::size_t rank, std::size_t size) : rank_(rank), size_(size) {
  check(size <= most_ranks && rank < size, "rank ", rank, " of ", size, " ranks; at most ", most_ranks);
  const int file = ::open(name.c_str(), O_RDWR | O_CLOEXEC);
  ensure(Exit::internal, file >= 0, "no communicator has the identifier '", name, "'");
  void* const memory = ::mmap(nullptr, head_bytes + most_ranks * (sizeof(Box) + most_bytes), PROT_READ | PROT_WRITE,
                              MAP_SHARED, file, 0);
  ::close(file);
  check(memory != MAP_FAILED, "cannot map ", name);
  memory_ = static_cast<std::byte*>(memory);
  check(box(rank).joined.exchange(1) == 0, "rank ", rank, " joins twice");
  if (reinterpret_cast<Head*>(memory_)->joined.fetch_add(1) + 1 == size)
    std::filesystem::remove_all(std::filesystem::path{name}.parent_path());
}

Mail::~Mail() {
  if (memory_ != nullptr) ::munmap(memory_, head_bytes + most_ranks * (sizeof(Box) + most_bytes));
}

Mail::Box& Mail::box(std::size_t rank) const {
  return *reinterpret_cast<Box*>(memory_ + head_bytes + rank * sizeof(Box));
}
std::byte* Mail::bytes_of(std::size_t rank) const {
  return memory_ + head_bytes + most_ranks * sizeof(Box) + rank * most_bytes;
}

bool Mail::all_joined() const { return reinterpret_cast<const Head*>(memory_)->joined == size_; }

bool Mail::awaited(std::uint64_t round) const {
  for (std::size_t peer = 0; peer < size_; ++peer)
    if (peer != rank_ && box(peer).posted >= round) return true;
  return false;
}

std::string Mail::names_of_missing(std::uint64_t round) const {
  std::string names;
  for (std::size_t peer = 0; peer < size_; ++peer)
    if (box(peer).posted < round) names += str(names.empty() ? "rank " : ", ", peer);
  return names;
}

bool Mail::begin(std::uint64_t round, const Until& until) {
  return until(
      [&] {
        for (std::size_t peer = 0; peer < size_; ++peer)
          if (box(peer).taken + 1 < round) return false;
        return true;
      },
      [] { return std::string{"those that read"}; });
}

bool Mail::post(std::uint64_t round, const std::string& op, std::span<const Message> messages, const Until& until) {
  Box& mine = box(rank_);
  op.copy(mine.op, sizeof mine.op - 1);
  mine.op[std::min(op.size(), sizeof mine.op - 1)] = 0;
  mine.count = messages.size();
  std::ranges::copy(messages, mine.messages);
  mine.posted = round;
  return until(
      [&] {
        for (std::size_t peer = 0; peer < size_; ++peer)
          if (box(peer).posted < round) return false;
        return true;
      },
      [&] { return names_of_missing(round); });
}

std::vector<Message> Mail::messages_of(std::size_t rank, std::size_t peer, bool sends) const {
  std::vector<Message> found;
  for (std::size_t i = 0; i < box(rank).count; ++i)
    if (const Message& each = box(rank).messages[i]; each.peer == peer && each.sends == sends) found.push_back(each);
  return found;
}

std::string Mail::mismatch() const {
  for (std::size_t peer = 0; peer < size_; ++peer) {
    if (const std::string theirs = box(peer).op, mine = box(rank_).op; theirs != mine)
      return str("rank ", rank_, " is in ", mine, ", rank ", peer, " in ", theirs);
    for (const bool sends : {true, false}) {
      const std::vector<Message> mine = messages_of(rank_, peer, sends), theirs = messages_of(peer, rank_, !sends);
      for (std::size_t n = 0; n < std::max(mine.size(), theirs.size()); ++n)
        if (n >= mine.size() || n >= theirs.size() || mine[n].count != theirs[n].count ||
            mine[n].type != theirs[n].type)
          return str("between ranks ", rank_, " and ", peer, ": ", said_of(sends ? "sends" : "expects", rank_, mine, n),
                     ", ", said_of(sends ? "expects" : "sends", peer, theirs, n));
    }
  }
  return {};
}

const std::byte* Mail::from(std::size_t peer, std::size_t n) const {
  return bytes_of(peer) + messages_of(peer, rank_, true).at(n).offset;
}

void Mail::taken(std::uint64_t round) { box(rank_).taken = round; }

}  // namespace tranche::cuda_emulation
