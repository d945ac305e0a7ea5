#include "runtime/comm/thread_team.h"

#include <algorithm>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/comm/meeting.h"
#include "runtime/device/work_queue.h"

namespace tranche {

// What the ranks' communication threads share of their meetings.
class TeamMemory {
 public:
  explicit TeamMemory(std::size_t size) : lines_(Meeting::bytes(size) / sizeof(Line) + 1) {
    Meeting::found(begin(), size);
  }
  std::byte* begin() { return lines_.front().bytes; }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> lines_;
};

namespace {

class TeamCommunicator : public Communicator {
 public:
  TeamCommunicator(std::shared_ptr<TeamMemory> memory, std::size_t rank, std::size_t size)
      : Communicator(rank, size),
        memory_(std::move(memory)),
        meeting_(memory_->begin(), rank, {}),
        queue_(std::make_unique<WorkQueue>("collectives")) {}
  ~TeamCommunicator() override {
    queue_.reset();
    meeting_.leave(str("rank ", rank(), " left after ", issued_, " collectives, while others wait for it in another"));
  }

  void abort(int exit_code) override {
    meeting_.abandon(str("rank ", rank(), " stopped the job with exit code ", exit_code));
  }

 protected:
  Event do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) override {
    const CollectiveCall call{issued_++, "all_gather", label, mine.size()};
    return issue(call, std::move(label), mine, [this, all] {
      for (std::size_t peer = 0; peer < size(); ++peer) {
        const std::span<const std::byte> theirs = posted(peer);
        std::byte* row = all.data() + peer * theirs.size();
        if (theirs.data() != row) std::ranges::copy(theirs, row);  // a rank may gather into what it posted
      }
    });
  }

  Event do_exchange(std::span<const std::byte> mine, Consume consume, std::string label) override {
    const CollectiveCall call{issued_++, "exchange", label, mine.size()};
    return issue(call, std::move(label), mine, [this, consume = std::move(consume), row = mine.size() / size()] {
      for (std::size_t peer = 0; peer < size(); ++peer) consume(peer, posted(peer).subspan(rank() * row, row));
    });
  }

  Event do_broadcast(std::span<std::byte> data, std::size_t root, std::string label) override {
    const CollectiveCall call{issued_++, "broadcast", label, data.size(), root};
    return issue(call, std::move(label), data, [this, data, root] {
      if (rank() != root) std::ranges::copy(posted(root), data.begin());
    });
  }

 private:
  template <class Read>
  Event issue(const CollectiveCall& call, std::string label, std::span<const std::byte> mine, Read read) {
    return queue_->run([this, call, label = std::move(label), mine, read = std::move(read)] {
      const Doing frame{[&] { return str("in ", call.op, " of ", label); }};
      meeting_.begin(call, reinterpret_cast<std::uintptr_t>(mine.data()));
      bytes_ = mine.size();
      std::string why_not;
      try {
        read();
      } catch (const std::exception& error) {
        why_not = str("rank ", rank(), " failed in ", call.op, " of ", label, ": ", error.what());
      }
      meeting_.end(why_not);
    });
  }

  // As many bytes as this rank posted: ranks in one collective bring the same.
  std::span<const std::byte> posted(std::size_t rank) const {
    return {reinterpret_cast<const std::byte*>(meeting_.posted(rank)), bytes_};
  }

  std::shared_ptr<TeamMemory> memory_;
  Meeting meeting_;
  std::size_t bytes_ = 0;  // of each rank's row in the meeting under way
  std::uint64_t issued_ = 0;
  std::unique_ptr<WorkQueue> queue_;
};

}  // namespace

ThreadTeam::ThreadTeam(std::size_t size) : size_(size) {
  check(size > 0, "a team needs at least one rank");
  memory_ = std::make_shared<TeamMemory>(size);
}

std::unique_ptr<Communicator> ThreadTeam::communicator(std::size_t rank) {
  check(rank < size_, "there is no rank ", rank, " among ", size_);
  return std::make_unique<TeamCommunicator>(memory_, rank, size_);
}

}  // namespace tranche
