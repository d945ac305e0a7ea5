// Members of a meeting that are processes, and may be killed.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/error.h"
#include "runtime/comm/meeting.h"
#include "runtime/device/memory_file.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;

// Member 0 is this process, member 1 a child that does `theirs` and is gone.
template <class Mine, class Theirs> void with_child(Mine mine, Theirs theirs) {
  const MemoryFile memory{Meeting::bytes(2)};
  Meeting::found(memory.data(), 2);
  const pid_t child = ::fork();
  if (child == 0) {
    Meeting meeting{memory.data(), 1, {}};
    theirs(meeting);
    ::raise(SIGKILL);
  }
  const auto gone = [&](std::size_t) {
    siginfo_t end{};
    ::waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOHANG | WNOWAIT);
    return end.si_pid == child ? "rank 1 is gone" : std::string{};
  };
  Meeting meeting{memory.data(), 0, {std::chrono::milliseconds{50}, gone}};
  mine(meeting);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child failed";
}

const CollectiveCall first{0, "exchange", "blocks.1", 64}, second{1, "exchange", "blocks.2", 64};

void expect_gone(const std::function<void()>& wait) {
  try {
    wait();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::ranks);
    EXPECT_THAT(error.what(), HasSubstr("rank 1 is gone"));
  }
}

TEST(Meeting, MembersSeeWhatTheOthersPosted) {
  with_child(
      [](Meeting& meeting) {
        for (std::uint64_t round = 0; round < 1000; ++round) {
          meeting.begin({round, "exchange", "blocks.1", 64}, 2 * round);
          EXPECT_EQ(meeting.posted(0), 2 * round);
          EXPECT_EQ(meeting.posted(1), 3 * round);
          meeting.end();
        }
      },
      [](Meeting& meeting) {
        for (std::uint64_t round = 0; round < 1000; ++round) {
          meeting.begin({round, "exchange", "blocks.1", 64}, 3 * round);
          if (meeting.posted(0) != 2 * round) ::_exit(1);
          meeting.end();
        }
      });
}

TEST(Meeting, DoesNotWaitForOneWhoIsGone) {
  with_child(
      [](Meeting& meeting) {
        meeting.begin(first, 1);
        meeting.end();
        expect_gone([&] { meeting.begin(second, 2); });
        expect_gone([&] { meeting.begin(second, 2); });  // and later ones fail at once
      },
      [](Meeting& meeting) {
        meeting.begin(first, 1);
        meeting.end();
      });
}

TEST(Meeting, DoesNotWaitForAReaderWhoIsGone) {
  with_child(
      [](Meeting& meeting) {
        meeting.begin(first, 1);
        expect_gone([&] { meeting.end(); });
      },
      [](Meeting& meeting) { meeting.begin(first, 1); });
}

TEST(Meeting, OneWhoLeftIsNotMissed) {
  with_child(
      [](Meeting& meeting) {
        meeting.begin(first, 1);
        ::usleep(200'000);
        meeting.end();
      },
      [](Meeting& meeting) {
        meeting.begin(first, 1);
        meeting.end();
        meeting.leave("rank 1 left");
      });
}

}  // namespace
}  // namespace tranche::testing
