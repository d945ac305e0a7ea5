#include "runtime/comm/host_team.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/base/round.h"
#include "runtime/base/trace.h"
#include "runtime/comm/mpi_messages.h"

namespace tranche {
namespace {

// Rows up to this size are copied rather than given memory of their own: what ranks tell each other beside tensors.
constexpr std::size_t small_row = 4096;
// What a rank posts is its row's offset in its memory file, or this: in the control block.
constexpr std::uint64_t in_control = std::numeric_limits<std::uint64_t>::max();

std::size_t meeting_bytes(std::size_t ranks) { return padded(Meeting::bytes(ranks), small_row); }

// What a rank shows the others of its host before they have anything in common.
struct Introduction {
  MemoryFileName device, control;  // control: of the first rank
  bool able = false;
};

// How far a rank came with what it was shown.
struct Outcome {
  bool joined = false;
  char why_not[240] = {};
};

template <class T> std::vector<T> all_on_host(const T& mine, std::size_t place, std::size_t size, MPI_Comm host) {
  std::vector<T> all(size);
  all[place] = mine;
  succeed(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all.data(), sizeof(T), MPI_BYTE, host), "MPI_Allgather");
  return all;
}

}  // namespace

// A peer's memory, and a handle to its process that tells when it has ended; -1 where the system has none.
struct HostTeam::Member {
  explicit Member(const MemoryFileName& name)
      : process(static_cast<pid_t>(name.process)),
        memory(name),
        handle(static_cast<int>(::syscall(SYS_pidfd_open, process, 0))) {}
  ~Member() {
    if (handle >= 0) ::close(handle);
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  bool ended() const {
    if (handle < 0) return ::kill(process, 0) != 0 && errno == ESRCH;
    pollfd ends{handle, POLLIN, 0};
    return ::poll(&ends, 1, 0) == 1;
  }

  pid_t process;
  MemoryFileView memory;
  int handle;
};

std::unique_ptr<HostTeam> HostTeam::join(MPI_Comm host, std::vector<std::size_t> ranks, Device& device) {
  if (ranks.size() == 1) return nullptr;
  int place = 0;
  MPI_Comm_rank(host, &place);
  std::unique_ptr<HostTeam> team{new HostTeam{std::move(ranks), static_cast<std::size_t>(place), device}};
  const std::size_t size = team->size();

  Introduction mine;
  Outcome outcome{true, {}};
  const auto attempt = [&](auto work) {
    try {
      work();
    } catch (const Error& error) {
      outcome.joined = false;
      std::string{error.what()}.copy(outcome.why_not, sizeof outcome.why_not - 1);
    }
  };
  if (device.memory_file() != nullptr) {
    mine.able = true;
    mine.device = device.memory_file()->name();
    attempt([&] {
      if (place != 0) return;
      team->control_ = std::make_unique<MemoryFile>(meeting_bytes(size) + size * small_row);
      Meeting::found(team->control_->data(), size);
      mine.control = team->control_->name();
    });
  }
  const std::vector<Introduction> all = all_on_host(mine, team->place_, size, host);
  if (!std::ranges::all_of(all, &Introduction::able)) return nullptr;
  if (outcome.joined)
    attempt([&] {
      if (place != 0) team->control_ = std::make_unique<MemoryFile>(all.front().control);
      for (std::size_t peer = 0; peer < size; ++peer)
        team->members_.push_back(peer == team->place_ ? nullptr : std::make_unique<Member>(all[peer].device));
    });

  for (const Outcome& each : all_on_host(outcome, team->place_, size, host)) {
    if (each.joined) continue;
    if (place == 0)
      log::everywhere(
          str("ranks of this host cannot read each other's memory, so their collectives go through MPI's "
              "messages, which is slower: ",
              each.why_not));
    return nullptr;
  }
  team->meeting_ = std::make_unique<Meeting>(
      team->control_->data(), team->place_,
      Meeting::Watch{.gone = [self = team.get()](std::size_t member) { return self->gone(member); }});
  return team;
}

HostTeam::HostTeam(std::vector<std::size_t> ranks, std::size_t mine, Device& device)
    : ranks_(std::move(ranks)), place_(mine), device_(device) {}

HostTeam::~HostTeam() = default;

HostTeam::Posting HostTeam::bring(std::span<const std::byte> bytes, const std::string& label) const {
  Posting posting;
  posting.bytes_ = bytes;
  if (bytes.size() > small_row && !device_.memory_file()->holds(bytes))
    posting.copy_ = device_.allocate(bytes.size(), Category::communication, label + " for peers");
  return posting;
}

void HostTeam::begin(const CollectiveCall& call, const Posting& mine) {
  bytes_ = call.bytes;
  std::uint64_t what = in_control;
  if (const std::byte* data = mine.copy_ ? mine.copy_.data() : mine.bytes_.data();
      device_.memory_file()->holds({data, mine.bytes_.size()}))
    what = static_cast<std::uint64_t>(data - device_.memory_file()->data());
  if (mine.copy_) {
    const trace::Span span{trace::Kind::copy, "copy for peers", {}, mine.bytes_.size()};
    std::ranges::copy(mine.bytes_, mine.copy_.data());
  } else if (what == in_control) {  // nobody reads there any more: the meeting before has ended
    std::ranges::copy(mine.bytes_, small_row_of(place_).begin());
  }
  meeting_->begin(call, what);
}

std::span<const std::byte> HostTeam::row(std::size_t rank) {
  const std::size_t place = *place_of(rank);
  const std::uint64_t what = meeting_->posted(place);
  if (what == in_control) return small_row_of(place).first(bytes_);
  if (place == place_) return {device_.memory_file()->data() + what, bytes_};
  return members_[place]->memory.at(what, bytes_);
}

std::optional<std::size_t> HostTeam::place_of(std::size_t rank) const {
  const auto found = std::ranges::lower_bound(ranks_, rank);
  if (found == ranks_.end() || *found != rank) return std::nullopt;
  return static_cast<std::size_t>(found - ranks_.begin());
}

std::span<std::byte> HostTeam::small_row_of(std::size_t place) const {
  return {control_->data() + meeting_bytes(size()) + place * small_row, small_row};
}

std::string HostTeam::gone(std::size_t place) const {
  if (!members_[place]->ended()) return {};
  return str("rank ", ranks_[place], " is gone: its process ", members_[place]->process,
             " ended while others on its host wait for it");
}

}  // namespace tranche
