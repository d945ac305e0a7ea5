// The control channel: who is let in, what is made of what ranks say, and that ranks do not need it.
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <thread>

#include "launcher/control/channel.h"
#include "launcher/control/reporter.h"
#include "launcher/control/roll.h"
#include "runtime/base/file.h"
#include "runtime/comm/communicator.h"
#include "tests/support/temporary_folder.h"

namespace tranche {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr Roll::Time start{};

Hello hello_of(std::size_t rank, std::size_t ranks = 2) {
  return {.token = "", .rank = rank, .ranks = ranks, .machine = {"node-a"}, .pid = 4711};
}

Activity at(std::uint64_t step, std::uint64_t collectives, const std::string& collective) {
  return {.step = step, .phase = "training", .collectives = collectives, .collective = collective};
}

class RollCall : public ::testing::Test {
 protected:
  RollCall() {
    EXPECT_TRUE(roll.joins(hello_of(0), start));
    EXPECT_TRUE(roll.joins(hello_of(1), start));
  }
  Roll roll{2, start};
  const Roll::Patience patience{.silence = seconds{10}, .stall = seconds{60}};
};

TEST_F(RollCall, LetsEachRankInOnce) {
  EXPECT_TRUE(roll.complete());
  EXPECT_FALSE(roll.joins(hello_of(1), start));
  EXPECT_FALSE(roll.joins(hello_of(2), start));
  Roll other{3, start};
  EXPECT_FALSE(other.joins(hello_of(0, 2), start));
  EXPECT_TRUE(other.joins(hello_of(0, 3), start));
  EXPECT_FALSE(other.complete());
}

TEST(Arrival, RanksThatDoNotComeAreMissedByTheirNumbers) {
  Roll roll{3, start};
  const Roll::Patience patience{.silence = seconds{1000}, .stall = seconds{1000}, .arrival = seconds{20}};
  ASSERT_TRUE(roll.joins(hello_of(1, 3), start + seconds{1}));
  EXPECT_EQ(roll.judge(patience, start + seconds{19}), std::nullopt);
  const auto verdict = roll.judge(patience, start + seconds{20});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->fault, Roll::silent);
  EXPECT_THAT(verdict->lost, ElementsAre(0, 2));
  EXPECT_THAT(verdict->text, AllOf(HasSubstr("ranks 0, 2 have not connected within 20 s"), HasSubstr("never")));
  // Whoever trains has met all others: they are there, and cannot reach us.
  roll.says(1, at(1, 7, "barrier of x"), start + seconds{20});
  EXPECT_EQ(roll.judge(patience, start + seconds{21}), std::nullopt);
}

TEST(Arrival, OneThatFallsSilentBeforeTheOthersHaveComeIsFound) {
  Roll roll{2, start};
  ASSERT_TRUE(roll.joins(hello_of(1), start));
  const auto verdict = roll.judge({.silence = seconds{10}, .stall = seconds{60}}, start + seconds{10});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_THAT(verdict->text, HasSubstr("rank 1 has not been heard of for 10 s"));
}

TEST_F(RollCall, FindsASilentRank) {
  for (int t = 1; t <= 10; ++t) {
    EXPECT_EQ(roll.judge(patience, start + seconds{t - 1}), std::nullopt);
    roll.says(0, at(1, 7, "barrier of x"), start + seconds{t});
  }
  const auto verdict = roll.judge(patience, start + seconds{10});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->fault, Roll::silent);
  EXPECT_THAT(verdict->lost, ElementsAre(1));
  EXPECT_THAT(verdict->text, AllOf(HasSubstr("rank 1 has not been heard of for 10 s"), HasSubstr("4711"),
                                   HasSubstr("7: barrier of x"), HasSubstr("10 s ago")));
}

TEST_F(RollCall, FindsAHangAndWhoIsWaitedFor) {
  roll.says(0, at(3, 8, "all_gather of blocks.1"), start + seconds{1});
  roll.says(1, at(3, 7, "all_gather of blocks.0"), start + seconds{2});
  for (int t = 3; t < 62; ++t) {
    roll.says(0, at(3, 8, "all_gather of blocks.1"), start + seconds{t});
    roll.says(1, at(3, 7, "all_gather of blocks.0"), start + seconds{t});
    EXPECT_EQ(roll.judge(patience, start + seconds{t}), std::nullopt) << t;
  }
  roll.says(0, at(3, 8, "all_gather of blocks.1"), start + seconds{62});
  roll.says(1, at(3, 7, "all_gather of blocks.0"), start + seconds{62});
  const auto verdict = roll.judge(patience, start + seconds{62});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->fault, Roll::hang);
  EXPECT_THAT(verdict->lost, ElementsAre());
  EXPECT_THAT(verdict->text, HasSubstr("others wait in collective number 8, all_gather of blocks.1, for rank 1"));
}

TEST_F(RollCall, FindsRanksInDifferentCollectives) {
  roll.says(0, at(3, 8, "all_gather of blocks.1"), start);
  roll.says(1, at(3, 8, "exchange of blocks.1"), start);
  EXPECT_EQ(roll.judge(patience, start + seconds{9}), std::nullopt);
  const auto ended = roll.judge_ended(start);
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->fault, Roll::disagree);
  EXPECT_THAT(ended->text, HasSubstr("ranks 0 and 1 are in different collectives: number 8 is all_gather of blocks.1 "
                                     "on the one and exchange of blocks.1 on the other"));
}

TEST_F(RollCall, RemembersWhoWasTheFirstToGo) {
  roll.says(0, at(3, 8, "x"), start);
  roll.says(1, at(3, 8, "x"), start);
  EXPECT_EQ(roll.judge_ended(start), std::nullopt);
  roll.parts(1, start + seconds{1});
  roll.parts(0, start + seconds{2});
  const auto ended = roll.judge_ended(start + seconds{3});
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->fault, Roll::gone);
  EXPECT_THAT(ended->lost, ElementsAre(1));
  EXPECT_THAT(ended->text, AllOf(HasSubstr("rank 1 was the first to go"), HasSubstr("gone"), HasSubstr("1 s ago")));
}

TEST(Hosts, ThatAreLostAreThoseWhoseRanksFellSilentOrWentFirst) {
  Roll roll{4, start};
  for (std::size_t rank = 0; rank < 4; ++rank) {
    Hello hello = hello_of(rank, 4);
    hello.machine = rank < 2 ? Machine{"a"} : Machine{"b", {"10.0.0.2"}};
    ASSERT_TRUE(roll.joins(hello, start));
  }
  EXPECT_EQ(roll.judge_lost_host(start), std::nullopt);
  Roll silent = roll;
  for (const std::size_t rank : {0, 1}) silent.says(rank, at(1, 1, "x"), start + seconds{6});
  silent.parts(0, start + seconds{6});  // what mpirun ended itself
  EXPECT_THAT(silent.judge_lost_host(start + seconds{6})->lost, ElementsAre(2, 3));
  roll.parts(3, start);
  const auto verdict = roll.judge_lost_host(start + seconds{1});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_THAT(verdict->text, HasSubstr("host b is lost, and ranks 2, 3 with it"));
  EXPECT_THAT(roll.machines_without(verdict->lost), ElementsAre(Machine{"b", {"10.0.0.2"}}));
  EXPECT_THAT(roll.machines_without({2}), ElementsAre());
  EXPECT_THAT(roll.machines_without({0, 1, 2, 3}), ElementsAre());
}

TEST_F(RollCall, DoesNotMindThoseWhoLeave) {
  Activity last = at(9, 80, "x");
  roll.says(0, last, start);
  last.left = true;
  roll.says(1, last, start);
  roll.parts(1, start);
  EXPECT_EQ(roll.judge_ended(start), std::nullopt);
  EXPECT_THAT(roll.table(start), HasSubstr("has left"));
  const auto verdict = roll.judge(patience, start + seconds{20});  // the other one is still watched
  ASSERT_TRUE(verdict.has_value());
  EXPECT_THAT(verdict->lost, ElementsAre(0));
}

TEST_F(RollCall, RanksThatFellSilentTogetherAreNamedTogether) {
  roll.says(1, at(9, 80, "x"), start + milliseconds{200});
  const auto verdict = roll.judge(patience, start + seconds{10});
  ASSERT_TRUE(verdict.has_value());
  EXPECT_THAT(verdict->lost, ElementsAre(0, 1));
  roll.says(1, at(10, 81, "x"), start + seconds{8});
  EXPECT_THAT(roll.judge(patience, start + seconds{10})->lost, ElementsAre(0));
  EXPECT_EQ(roll.judge(patience, start + milliseconds{9900}), std::nullopt);
}

TEST_F(RollCall, BlamesNobodyForItsOwnSleep) {
  roll.excuse(start + seconds{100});
  EXPECT_EQ(roll.judge(patience, start + seconds{105}), std::nullopt);
}

TEST(Messages, ComeBackAsTheyWereAndAreBounded) {
  Activity activity = at(3, 8, "all_gather of blocks.1");
  activity.steps = 2;
  activity.seconds = {{"compute", 0.25}, {"wait", 1.5}};
  activity.bytes = {{"device", {{"parameters", 4096}}}, {"host", {{"optimizer", 12}}}};
  const std::string frame = encoded(activity);
  unsigned char header[message_header];
  std::copy_n(frame.begin(), message_header, header);
  EXPECT_EQ(message_length(header), frame.size() - message_header);
  EXPECT_EQ(decoded_activity(std::string_view{frame}.substr(message_header)), activity);
  activity.stack = {"epoll_wait", "in libopen-pal.so.40", "tranche::train", "main"};
  EXPECT_EQ(decoded_activity(std::string_view{encoded(activity)}.substr(message_header)), activity);
  activity.stack.assign(100, std::string(1000, 'f'));
  EXPECT_EQ(decoded_activity(std::string_view{encoded(activity)}.substr(message_header)).stack,
            std::vector(most_stack_frames, std::string(longest_name, 'f')));
  // What is cut is still text: nothing changes when it is sent on.
  const Activity once = decoded_activity(
      std::string_view{encoded(at(1, 1, std::string(longest_name - 1, 'x') + "\u00e9"))}.substr(message_header));
  EXPECT_EQ(once.collective, std::string(longest_name - 1, 'x'));
  const std::string worst = encoded(at(~0ull, ~0ull, std::string(100'000, '\x01') + "\xff\xfe"));
  EXPECT_LE(worst.size(), message_header + longest_message);
  const Activity cut = decoded_activity(std::string_view{worst}.substr(message_header));
  EXPECT_EQ(cut.collective, std::string(longest_name, '?'));
  for (const char* bad : {"", "{}", "[]", "{\"step\": -1}", "\xff", "{\"step\": 1, \"phase\": 2}"}) {
    EXPECT_THROW(decoded_activity(bad), Error) << bad;
    EXPECT_THROW(decoded_hello(bad), Error) << bad;
  }
  const Hello hello{.token = "t", .rank = 1, .ranks = 2, .machine = {"node-b", {"10.0.0.2", "192.168.7.9"}}, .pid = 5};
  std::string text = encoded(hello).substr(message_header);
  EXPECT_EQ(decoded_hello(text).machine, hello.machine);
  text.replace(text.find("10.0.0.2"), 8, "10.0.0.x");
  EXPECT_THROW(decoded_hello(text), Error);
  const std::string good =
      R"({"step": 1, "phase": "x", "collectives": 1, "collective": "y", "steps": 1, "left": false)";
  EXPECT_EQ(decoded_activity(good + "}").steps, 1u);
  for (const char* bad :
       {R"("seconds": 1)", R"("seconds": {"wait": -1})", R"("seconds": {"wait": "1"})", R"("bytes": {"device": 4})",
        R"("bytes": {"device": {"parameters": 0.5}})", R"("stack": "main")", R"("stack": [1])"})
    EXPECT_THROW(decoded_activity(good + ", " + bad + "}"), Error) << bad;
}

class Channel : public ::testing::Test {
 protected:
  Channel() { set_environment(channel); }
  ~Channel() override {
    ::unsetenv(supervisor_variable);
    ::unsetenv(token_variable);
  }
  void set_environment(const ControlChannel& of) {
    for (const std::string& variable : of.environment()) {
      const std::size_t equals = variable.find('=');
      ::setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
    }
  }
  // Runs the supervisor's side until something holds, or five seconds are over.
  bool until(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + seconds{5};
    while (!holds() && std::chrono::steady_clock::now() < end) io.run_for(milliseconds{5});
    return holds();
  }
  std::string address() const { return std::getenv(supervisor_variable); }
  std::filesystem::path token_file() const { return std::getenv(token_variable); }
  // A connection of somebody's, who says this.
  int stranger(const std::string& bytes) const {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    address().substr(5).copy(name.sun_path, sizeof name.sun_path - 1);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    EXPECT_EQ(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    return socket;
  }

  boost::asio::io_context io{1};
  ControlChannel channel{io, 2, {.one_host = true, .shared = {}, .introduction = milliseconds{300}}};
};

TEST_F(Channel, HearsWhatRanksDo) {
  Reporter first{0, 2};
  {
    Reporter second{1, 2};
    second.step(12);
    second.phase("training");
    second.issued({.sequence = 800, .op = "all_gather", .label = "blocks.3", .bytes = 1});
    EXPECT_TRUE(
        until([&] { return channel.roll().table({}).find("801: all_gather of blocks.3") != std::string::npos; }));
    EXPECT_THAT(channel.roll().table({}), AllOf(HasSubstr("12"), HasSubstr("training"), HasSubstr("joining")));
    EXPECT_TRUE(channel.roll().complete());
  }
  EXPECT_TRUE(until([&] { return channel.roll().table({}).find("has left") != std::string::npos; }));
  EXPECT_EQ(channel.dropped(), 0u);
  EXPECT_EQ(channel.roll().first_gone(), std::nullopt);
}

TEST_F(Channel, IsToldWhereARanksTrainingThreadIsWhenItAsks) {
  std::atomic<bool> trains = true;
  std::thread rank{[&] {
    const Reporter first{0, 2};
    while (trains) std::this_thread::sleep_for(milliseconds{1});
  }};
  EXPECT_TRUE(until([&] { return channel.roll().ranks()[0].connected; }));
  EXPECT_THAT(channel.roll().ranks()[0].stack, IsEmpty());
  channel.ask_for_stacks();
  EXPECT_TRUE(until([&] { return !channel.roll().ranks()[0].stack.empty(); }));
  // Of the thread that sleeps, not of the one that tells of it.
  EXPECT_THAT(channel.roll().ranks()[0].stack, Contains(HasSubstr("nanosleep")));
  trains = false;
  rank.join();
}

TEST_F(Channel, KeepsItsTokenToItsUserAndNoLongerThanNeeded) {
  struct stat status {};
  ASSERT_EQ(::stat(token_file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(token_file().parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  EXPECT_EQ(read_small_file(token_file()).size(), 64u);
  EXPECT_THAT(address(), Not(HasSubstr(read_small_file(token_file()))));
  const Reporter first{0, 2}, second{1, 2};
  EXPECT_TRUE(until([&] { return channel.roll().complete(); }));
  EXPECT_FALSE(std::filesystem::exists(token_file().parent_path()));
}

TEST_F(Channel, DropsAndCountsWhoIsNoRank) {
  const std::string token = read_small_file(token_file());
  Hello wrong = hello_of(0);
  wrong.token = std::string(64, '0');
  Hello foreign = hello_of(7);
  foreign.token = token;
  std::string cut = encoded(foreign);
  cut.resize(10);
  const std::vector<std::string> said{"GET / HTTP/1.1\r\n\r\n",
                                      "\xff\xff\xff\xff",
                                      std::string(message_header, '\0'),
                                      encoded(wrong),
                                      encoded(foreign),
                                      cut,
                                      ""};  // the last two are cut off in time
  std::vector<int> sockets;
  for (const std::string& each : said) sockets.push_back(stranger(each));
  EXPECT_TRUE(until([&] { return channel.dropped() == said.size(); })) << channel.dropped();
  for (const int socket : sockets) {
    char byte = 0;
    EXPECT_LE(::recv(socket, &byte, 1, MSG_DONTWAIT), 0);
    ::close(socket);
  }
  // One that was let in is dropped as well when it talks nonsense; the other rank is not disturbed.
  Hello right = hello_of(0);
  right.token = token;
  Reporter second{1, 2};
  const int socket = stranger(encoded(right) + std::string("\x02\0\0\0{}", 6));
  EXPECT_TRUE(until([&] { return channel.dropped() == said.size() + 1; }));
  EXPECT_TRUE(until([&] { return channel.roll().complete(); }));
  ::close(socket);
}

TEST_F(Channel, HoldsOutAgainstACrowd) {
  std::vector<int> sockets;
  for (std::size_t i = 0; i < ControlChannel::most_strangers + 10; ++i) {
    sockets.push_back(stranger(""));
    io.poll();
  }
  EXPECT_TRUE(until([&] { return channel.dropped() == sockets.size(); }))
      << channel.dropped();  // in a third of a second
  const Reporter first{0, 2}, second{1, 2};
  EXPECT_TRUE(until([&] { return channel.roll().complete(); }));
  for (const int socket : sockets) ::close(socket);
}

TEST_F(Channel, IsReachedByTcpFromOtherHosts) {
  const testing::TemporaryFolder shared;
  ControlChannel wide{io, 2, {.one_host = false, .shared = shared.path() / "run"}};
  set_environment(wide);
  EXPECT_THAT(address(), HasSubstr("tcp:"));
  const Reporter first{0, 2}, second{1, 2};
  EXPECT_TRUE(until([&] { return wide.roll().complete(); }));
}

TEST(Reports, RanksWorkOnWithoutASupervisor) {
  { Reporter nobody{0, 1}; }
  ::setenv(supervisor_variable, "unix:nowhere", 1);
  ::setenv(token_variable, "nowhere", 1);
  { Reporter unreachable{0, 1}; }
  {
    boost::asio::io_context io;
    auto channel = std::make_unique<ControlChannel>(io, 1, ControlChannel::Options{});
    for (const std::string& variable : channel->environment())
      ::setenv(variable.substr(0, variable.find('=')).c_str(), variable.substr(variable.find('=') + 1).c_str(), 1);
    Reporter left_alone{0, 1};
    io.run_for(milliseconds{300});
    channel.reset();
    io.run_for(milliseconds{300});
    left_alone.step(3);
  }
  ::unsetenv(supervisor_variable);
  ::unsetenv(token_variable);
}

}  // namespace
}  // namespace tranche
