// Where the ranks that share memory meet: all have posted what they bring; then all read; then all go on.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "runtime/comm/desync.h"

namespace tranche {

struct MeetingBlock;

// One member's side of it. What the members share lies in memory that all of them see, threads of one process or
// processes of one host; it holds no pointers. One thread of each member begins and ends meetings; leave and abandon
// may come from any.
//
// Members that meet in different collectives, one that could not read, one that leaves while others still need it, and
// one that is gone make every member's meeting fail (Exit::ranks unless the failure says otherwise): nobody waits for
// ever.
class Meeting {
 public:
  // Bytes of what `members` share, aligned to 64; one of them founds it, and then all may join.
  static std::size_t bytes(std::size_t members);
  static void found(std::byte* shared, std::size_t members);

  // What a member that has waited for long asks about the others, every `patience`: the name of one that is gone
  // without having left, or nothing.
  struct Watch {
    std::chrono::milliseconds patience{1000};
    std::function<std::string(std::size_t member)> gone;
  };
  // shared must outlive it, and must be mapped where this member sees it.
  Meeting(std::byte* shared, std::size_t member, Watch watch);

  std::size_t members() const;

  // Returns when every member has posted; posted(m) then holds until end(). Throws, with nothing read, if that cannot
  // be.
  void begin(const CollectiveCall& call, std::uint64_t what);
  std::uint64_t posted(std::size_t member) const;
  // Returns when no member reads any more, whatever went wrong: what was posted may then be freed. why_not: why this
  // member could not read; it fails every member. What happens to the others after this meeting does not.
  void end(const std::string& why_not = {});

  // Fails every member, now and later.
  void abandon(const std::string& why);
  // Fails those who wait for this member now or later; those who do not need it any more are not disturbed.
  void leave(const std::string& farewell);

 private:
  class Lock;
  void wait_until(Lock& lock, const std::function<bool()>& reached);
  void announce();
  void fail_with(const std::string& why);
  std::string failure() const;
  std::string someone_gone() const;

  MeetingBlock& block_;
  std::size_t member_;
  Watch watch_;
};

}  // namespace tranche
