#include "runtime/comm/thread_team.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "runtime/base/error.h"
#include "runtime/comm/desync.h"
#include "runtime/device/work_queue.h"

namespace tranche {

// Where the ranks' communication threads meet: all have posted what they bring; then all read; then all go on.
class Meeting {
 public:
  explicit Meeting(std::size_t size) : calls_(size), data_(size) {}

  // Returns when every rank has posted; data(r) may be read until end(). Throws, with nothing read, if that cannot be.
  void begin(std::size_t rank, const CollectiveCall& call, std::span<const std::byte> data) {
    std::unique_lock lock{mutex_};
    calls_[rank] = call;
    data_[rank] = data;
    const std::size_t round = round_;
    if (++arrived_ == calls_.size() && !failure_) {
      if (const std::string text = disagreement(calls_); text.empty()) {
        arrived_ = 0;
        ++round_;
        readers_ = calls_.size();
      } else {
        failure_ = text;
      }
      changed_.notify_all();
    }
    if (left_ && !failure_ && round_ == round) fail_with(*left_);
    changed_.wait(lock, [&] { return round_ != round || failure_; });
    if (round_ == round) fail(Exit::ranks, *failure_);
  }

  // Returns when no rank reads any more, whatever went wrong: what was posted may then be freed. why_not: why this rank
  // could not read; it fails every rank. What happens to the team after this meeting does not.
  void end(const std::optional<std::string>& why_not) {
    std::unique_lock lock{mutex_};
    if (why_not && !failure_) failure_ = why_not;
    if (why_not) unread_ = true;
    if (--readers_ == 0) changed_.notify_all();
    changed_.wait(lock, [&] { return readers_ == 0; });  // no next meeting begins without this rank
    if (unread_) fail(Exit::ranks, *failure_);
  }

  std::span<const std::byte> data(std::size_t rank) const { return data_[rank]; }

  void abandon(const std::string& why) {
    const std::lock_guard lock{mutex_};
    if (!failure_) fail_with(why);
  }
  // Fails those who wait for this rank now or later; those who do not need it any more are not disturbed.
  void leave(const std::string& farewell) {
    const std::lock_guard lock{mutex_};
    if (!left_) left_ = farewell;
    if (arrived_ != 0 && !failure_) fail_with(farewell);
  }

 private:
  void fail_with(const std::string& why) {
    failure_ = why;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<CollectiveCall> calls_;  // entry r is rank r's
  std::vector<std::span<const std::byte>> data_;
  std::size_t arrived_ = 0, readers_ = 0, round_ = 0;
  std::optional<std::string> failure_;  // the first; the team does not recover
  std::optional<std::string> left_;
  bool unread_ = false;  // of the last meeting: some rank could not read
};

namespace {

class TeamCommunicator : public Communicator {
 public:
  TeamCommunicator(std::shared_ptr<Meeting> meeting, std::size_t rank, std::size_t size)
      : Communicator(rank, size), meeting_(std::move(meeting)), queue_(std::make_unique<WorkQueue>()) {}
  ~TeamCommunicator() override {
    queue_.reset();
    meeting_->leave(str("rank ", rank(), " left after ", issued_, " collectives, while others wait for it in another"));
  }

  void abort(int exit_code) override {
    meeting_->abandon(str("rank ", rank(), " stopped the job with exit code ", exit_code));
  }

 protected:
  Event do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) override {
    const CollectiveCall call{issued_++, "all_gather", label, mine.size()};
    return issue(call, std::move(label), mine, [this, all] {
      for (std::size_t peer = 0; peer < size(); ++peer) {
        const std::span<const std::byte> theirs = meeting_->data(peer);
        std::byte* row = all.data() + peer * theirs.size();
        if (theirs.data() != row) std::ranges::copy(theirs, row);  // a rank may gather into what it posted
      }
    });
  }

  Event do_exchange(std::span<const std::byte> mine, Consume consume, std::string label) override {
    const CollectiveCall call{issued_++, "exchange", label, mine.size()};
    return issue(call, std::move(label), mine, [this, consume = std::move(consume), row = mine.size() / size()] {
      for (std::size_t peer = 0; peer < size(); ++peer) consume(peer, meeting_->data(peer).subspan(rank() * row, row));
    });
  }

  Event do_broadcast(std::span<std::byte> data, std::size_t root, std::string label) override {
    const CollectiveCall call{issued_++, "broadcast", label, data.size(), root};
    return issue(call, std::move(label), data, [this, data, root] {
      if (rank() != root) std::ranges::copy(meeting_->data(root), data.begin());
    });
  }

 private:
  template <class Read>
  Event issue(const CollectiveCall& call, std::string label, std::span<const std::byte> mine, Read read) {
    return queue_->run([this, call, label = std::move(label), mine, read = std::move(read)] {
      const Doing frame{[&] { return str("in ", call.op, " of ", label); }};
      meeting_->begin(rank(), call, mine);
      std::optional<std::string> why_not;
      try {
        read();
      } catch (const std::exception& error) {
        why_not = str("rank ", rank(), " failed in ", call.op, " of ", label, ": ", error.what());
      }
      meeting_->end(why_not);
    });
  }

  std::shared_ptr<Meeting> meeting_;
  std::uint64_t issued_ = 0;
  std::unique_ptr<WorkQueue> queue_;
};

}  // namespace

ThreadTeam::ThreadTeam(std::size_t size) : meeting_(std::make_shared<Meeting>(size)), size_(size) {
  check(size > 0, "a team needs at least one rank");
}

std::unique_ptr<Communicator> ThreadTeam::communicator(std::size_t rank) {
  check(rank < size_, "there is no rank ", rank, " among ", size_);
  return std::make_unique<TeamCommunicator>(meeting_, rank, size_);
}

}  // namespace tranche
