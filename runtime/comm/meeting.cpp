#include "runtime/comm/meeting.h"

#include <memory>
#include <new>

#include "runtime/base/error.h"
#include "runtime/comm/futex.h"

namespace tranche {

// What the members share; behind it lie, for each member, a Seat and a CollectiveCall, and then the failure's text.
// Everything but the two words is touched under the lock, but for what was posted: that stands still between begin and
// end.
struct MeetingBlock {
  Word lock{0};     // 0: free, 1: taken, 2: taken, and someone sleeps
  Word changes{0};  // counts what someone may be waiting for
  std::uint64_t members = 0;
  std::uint64_t arrived = 0, readers = 0, round = 0;
  bool failed = false;  // the first failure's text stays; the members do not recover
  bool parting = false;
  bool unread = false;  // of the last meeting: some member could not read
  char farewell[200] = {};
};

namespace {

struct Seat {
  std::uint64_t posted = 0;
  Word left{0};  // 1: it needs nobody any more. Read without the lock too
};

// A table of what each member is in has this many characters for each at most, and a line above.
constexpr std::size_t text_for_each = 256, text_beside = 1024;

std::size_t text_bytes(std::size_t members) { return text_beside + members * text_for_each; }

std::byte* behind(MeetingBlock& block) { return reinterpret_cast<std::byte*>(&block + 1); }
CollectiveCall* calls_of(MeetingBlock& block) { return reinterpret_cast<CollectiveCall*>(behind(block)); }
Seat* seats_of(MeetingBlock& block) {
  return reinterpret_cast<Seat*>(behind(block) + block.members * sizeof(CollectiveCall));
}
char* text_of(MeetingBlock& block) {
  return reinterpret_cast<char*>(behind(block) + block.members * (sizeof(CollectiveCall) + sizeof(Seat)));
}

void write(char* into, std::size_t capacity, const std::string& text) { into[text.copy(into, capacity - 1)] = '\0'; }

static_assert(sizeof(MeetingBlock) % alignof(CollectiveCall) == 0 && sizeof(CollectiveCall) % alignof(Seat) == 0);

}  // namespace

// Held for less than a microsecond at a time. A member that is killed while it holds the lock is noticed as any other
// that is gone.
class Meeting::Lock {
 public:
  explicit Lock(const Meeting& meeting) : meeting_(meeting) { take(); }
  ~Lock() {
    if (taken_) give();
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void take() {
    std::uint32_t state = 0;
    if (!word().compare_exchange_strong(state, 1, std::memory_order_acquire))
      while (word().exchange(2, std::memory_order_acquire) != 0)
        if (!wait_for_change(word(), 2, meeting_.watch_.patience))
          if (const std::string who = meeting_.someone_gone(); !who.empty()) fail(Exit::ranks, who);
    taken_ = true;
  }
  void give() {
    taken_ = false;
    if (word().exchange(0, std::memory_order_release) == 2) wake_one(word());
  }

 private:
  Word& word() const { return meeting_.block_.lock; }

  const Meeting& meeting_;
  bool taken_ = false;
};

std::size_t Meeting::bytes(std::size_t members) {
  return sizeof(MeetingBlock) + members * (sizeof(CollectiveCall) + sizeof(Seat)) + text_bytes(members);
}

void Meeting::found(std::byte* shared, std::size_t members) {
  MeetingBlock& block = *new (shared) MeetingBlock;
  block.members = members;
  std::uninitialized_default_construct_n(calls_of(block), members);
  std::uninitialized_default_construct_n(seats_of(block), members);
  *text_of(block) = '\0';
}

Meeting::Meeting(std::byte* shared, std::size_t member, Watch watch)
    : block_(*std::launder(reinterpret_cast<MeetingBlock*>(shared))), member_(member), watch_(std::move(watch)) {}

std::size_t Meeting::members() const { return block_.members; }

void Meeting::begin(const CollectiveCall& call, std::uint64_t what) {
  Lock lock{*this};
  if (block_.failed) fail(Exit::ranks, failure());
  calls_of(block_)[member_] = call;
  seats_of(block_)[member_].posted = what;
  const std::uint64_t round = block_.round;
  if (++block_.arrived == block_.members) {
    if (const std::string text = disagreement({calls_of(block_), block_.members}); text.empty()) {
      block_.arrived = 0;
      ++block_.round;
      block_.readers = block_.members;
      announce();
    } else {
      fail_with(text);
    }
  }
  if (block_.parting && !block_.failed) fail_with(block_.farewell);
  wait_until(lock, [&] { return block_.round != round || block_.failed; });
  if (block_.round == round) fail(Exit::ranks, failure());
}

std::uint64_t Meeting::posted(std::size_t member) const { return seats_of(block_)[member].posted; }

void Meeting::end(const std::string& why_not) {
  Lock lock{*this};
  if (!why_not.empty()) {
    if (!block_.failed) fail_with(why_not);
    block_.unread = true;
  }
  if (--block_.readers == 0) announce();
  // No next meeting begins without this member, so what is waited for cannot pass by.
  wait_until(lock, [&] { return block_.readers == 0; });
  if (block_.unread) fail(Exit::ranks, failure());
}

void Meeting::abandon(const std::string& why) {
  const Lock lock{*this};
  if (!block_.failed) fail_with(why);
}

void Meeting::leave(const std::string& farewell) {
  const Lock lock{*this};
  seats_of(block_)[member_].left = 1;
  if (!block_.parting) {
    block_.parting = true;
    write(block_.farewell, sizeof block_.farewell, farewell);
  }
  if (block_.arrived != 0 && !block_.failed) fail_with(farewell);
}

void Meeting::wait_until(Lock& lock, const std::function<bool()>& reached) {
  while (!reached()) {
    const std::uint32_t seen = block_.changes.load(std::memory_order_relaxed);
    lock.give();
    const bool changed = wait_for_change(block_.changes, seen, watch_.patience);
    const std::string who = changed ? std::string{} : someone_gone();
    lock.take();
    if (who.empty() || reached()) continue;
    if (!block_.failed) fail_with(who);
    fail(Exit::ranks, failure());
  }
}

void Meeting::fail_with(const std::string& why) {
  block_.failed = true;
  write(text_of(block_), text_bytes(block_.members), why);
  announce();
}

// Those who wake find the lock taken for a moment; waking them after it was given would let this member be gone before
// it did.
void Meeting::announce() {
  block_.changes.fetch_add(1, std::memory_order_release);
  wake_all(block_.changes);
}

std::string Meeting::failure() const { return text_of(block_); }

// Without the lock, whose owner may be the one that is gone.
std::string Meeting::someone_gone() const {
  if (!watch_.gone) return {};
  for (std::size_t member = 0; member < block_.members; ++member) {
    if (member == member_ || seats_of(block_)[member].left != 0) continue;
    if (std::string who = watch_.gone(member); !who.empty()) return who;
  }
  return {};
}

}  // namespace tranche
