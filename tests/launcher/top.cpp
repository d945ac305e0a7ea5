// `tranche top`: the picture in any room, what it says of a run, and what it does to a terminal.
#include <gmock/gmock.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <stdexcept>
#include <thread>

#include "launcher/http/event_stream.h"
#include "launcher/http/server.h"
#include "launcher/top/chart.h"
#include "launcher/top/picture.h"
#include "launcher/top/watched_run.h"
#include "tests/launcher/daemons.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string step_line(std::size_t step, const std::string& loss = "2.5", bool skipped = false) {
  return str(
      "{\"step\": ", step, ", \"loss\": ", loss,
      ", \"learning_rate\": 0.1, \"gradient_norm\": ", skipped ? "\"inf\"" : "1.0",
      ", \"loss_scale\": 1024.0, \"skipped\": ", skipped ? "true" : "false",
      ", \"tokens_per_second\": 1000.0, \"saving_seconds\": ", step == 3 ? "0.25" : "0.0",
      ", \"peak_bytes\": {\"parameters\": 4096, \"workspace\": 0}, \"communicated_bytes\": {\"all_gather\": 64}}");
}

std::string text_of(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) text += line.text() + "\n";
  return text;
}

// A run of so many ranks, of which the last but one works ten times as long as the others.
RunView run_of(std::size_t ranks, std::size_t steps) {
  RunView run{.run = "runs/demo", .state = "running", .steps_in_all = 2 * steps, .tokens_per_step = 3000};
  for (std::size_t s = 1; s <= steps; ++s)
    run.add_line(step_line(s, str(5 - 4 * static_cast<double>(s) / static_cast<double>(steps)), s == 2), "test");
  for (std::size_t r = 0; r < ranks; ++r) {
    const double work = r + 2 == ranks ? 0.5 : 0.05;
    run.ranks.push_back({.host = "node-with-a-long-name",
                         .step = str(steps),
                         .phase = "training",
                         .collective = str(100 + r, ": exchange of blocks.", r, ", among others"),
                         .heard = r + 1 == ranks ? "gone" : "0 s ago",
                         .seconds = {{"compute", work}, {"wait", 0.6 - work}},
                         .bytes = {{"device", {{"parameters", 1e6 * static_cast<double>(r + 1)}, {"gradients", 5e5}}},
                                   {"host", {{"optimizer", 3e9}}}}});
  }
  run.events = {"rank 2 is slow: its own work takes 500 ms of a step, that of the others 50 ms"};
  return run;
}

// ---- Lines and charts ----------------------------------------------------------------------------------------------

TEST(TopLine, IsMeasuredAndCutInCharacters) {
  Line line;
  line.add("▁▂▃", Style::accent).pad_to(5).add("né");
  EXPECT_EQ(line.columns(), 7u);
  EXPECT_EQ(line.styled(), "\033[36m▁▂▃\033[0m  né");
  EXPECT_EQ(Line{line}.cut_to(2).text(), "▁▂");
  EXPECT_EQ(Line{line}.cut_to(6).text(), "▁▂▃  n");
  EXPECT_EQ(line.cut_to(0).text(), "");
}

TEST(TopLine, LetsNothingThroughThatATerminalObeys) {
  EXPECT_EQ(Line{}.add("a\033[2Jb\nc\x7f\xc2\x9bz\xc2\xa7").text(), "a?[2Jb?c??z\xc2\xa7");
}

TEST(TopChart, ShowsMeansBetweenTheLowestAndTheHighest) {
  const double nan = std::nan("");
  EXPECT_THAT(chart_of(std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8}, 8, 1).rows, ElementsAre("▁▂▃▄▅▆▇█"));
  const Chart chart = chart_of(std::vector<double>{0, 0, nan, nan, 4, 6, 10, 10}, 4, 2);
  EXPECT_THAT(chart.rows, ElementsAre("  ▁█", "▁!██"));
  EXPECT_EQ(chart.low, 0);
  EXPECT_EQ(chart.high, 10);
  EXPECT_THAT(chart_of(std::vector<double>{3, 3}, 9, 1).rows, ElementsAre("▅▅"));
  EXPECT_TRUE(std::isnan(chart_of(std::vector<double>{nan}, 3, 1).low));
  EXPECT_EQ(bar_of(0.5, 3), "█▌ ");
  EXPECT_EQ(bar_of(nan, 2) + bar_of(9, 2), "  ██");
}

// ---- The picture ---------------------------------------------------------------------------------------------------

TEST(TopPicture, KeepsToItsRoomWhateverThatIs) {
  for (const std::size_t ranks : {0, 1, 4, 50})
    for (const std::size_t steps : {0, 1, 90}) {
      const RunView run = run_of(ranks, steps);
      for (std::size_t columns = 1; columns <= 200; columns += columns < 60 ? 1 : 7)
        for (const std::size_t rows : {1, 5, 12, 24, 120}) {
          const std::vector<Line> lines = picture_of(run, {.columns = columns, .rows = rows});
          EXPECT_LE(lines.size(), rows);
          for (const Line& line : lines)
            ASSERT_LE(line.columns(), columns)
                << ranks << " ranks, " << steps << " steps, in " << columns << ": " << line.text();
        }
    }
}

TEST(TopPicture, SaysWhereTheRunIs) {
  const std::string text = text_of(picture_of(run_of(4, 300), {.columns = 100, .rows = 50}));
  EXPECT_THAT(text, StartsWith("runs/demo   running   4 ranks\nstep 300/600  ▕"));
  EXPECT_THAT(text, AllOf(HasSubstr("▏  50%   15 min left\n"),  // 300 steps of 3 s
                          HasSubstr("loss 1   lowest 1 at step 300\n"), HasSubstr("steps 1 to 300\n"),
                          HasSubstr("tokens/s       1.00k"), HasSubstr("learning rate  0.1"),
                          HasSubstr("loss scale     1024   1 step skipped\n")));
  EXPECT_THAT(text, AllOf(HasSubstr("device memory  4.29 MiB   parameters 3.81 MiB, gradients 488.28 KiB\n"),
                          HasSubstr("host memory    2.79 GiB   optimizer 2.79 GiB\n")));
  EXPECT_THAT(text, AllOf(HasSubstr("\n0     300     training  ▋        8% of 600 ms    0 s ago"),
                          HasSubstr("100: exchange of blocks.0, am")));
  EXPECT_THAT(text,
              AllOf(HasSubstr("\nrank 2 is slow: "),
                    HasSubstr("\nstep 2: saved; training waited 0.25 s\nstep 2: skipped, the gradient overflowed")));
}

TEST(TopPicture, ShowsWhatStandsOutFirstWhereNotAllRanksHaveRoom) {
  const std::string all = text_of(picture_of(run_of(4, 300), {.columns = 80, .rows = 60}));
  EXPECT_THAT(all, AllOf(HasSubstr("\n2!    300     training  ██████▋  83% of 600 ms"), HasSubstr("\n3     300"),
                         Not(HasSubstr("more"))));
  const std::vector<Line> lines = picture_of(run_of(300, 300), {.columns = 80, .rows = 40});
  const std::string some = text_of(lines);
  EXPECT_THAT(some, AllOf(HasSubstr("\n298!  300"), HasSubstr("\n299   300"), HasSubstr("\n0     300"),
                          ::testing::ContainsRegex("\nand 2[0-9]+ more")));
  std::string styled;
  for (const Line& line : lines) styled += line.styled() + "\n";
  EXPECT_THAT(styled, AllOf(HasSubstr("\033[1;31m298!"), HasSubstr("\033[1;31mgone")));
}

TEST(TopRun, ForgetsStepsThatAreDoneAgainAndReadsWhatIsNotFinite) {
  RunView run;
  for (const std::size_t step : {1, 2, 3}) run.add_line(step_line(step), "test");
  run.add_line(step_line(2, "\"nan\""), "test");
  ASSERT_EQ(run.steps.size(), 2u);
  EXPECT_TRUE(std::isnan(run.steps.back().loss));
  EXPECT_THAT(text_of(picture_of(run, {})), AllOf(HasSubstr("loss nan   lowest 2.5 at step 1"), HasSubstr("!")));
  EXPECT_THROW(run.add_line("{\"step\": 3}", "test"), Error);
}

TEST(EventParser, HearsTheSameHoweverBytesAreCut) {
  const std::string sent = "event: step\ndata: {\"a\": 1}\n\n: a comment\n\nevent: reset\ndata: \n\n";
  for (std::size_t piece = 1; piece <= sent.size(); ++piece) {
    std::vector<std::string> heard;
    EventParser parser{[&](const std::string& name, const std::string& data) { heard.push_back(name + "=" + data); }};
    for (std::size_t at = 0; at < sent.size(); at += piece) parser.feed(std::string_view{sent}.substr(at, piece));
    EXPECT_THAT(heard, ElementsAre("step={\"a\": 1}", "reset=")) << piece;
  }
  EventParser endless{[](const std::string&, const std::string&) {}};
  EXPECT_THROW(endless.feed(std::string(EventParser::longest + 1, 'x')), Error);
}

// ---- The command ---------------------------------------------------------------------------------------------------

class Top : public Program {
 protected:
  void write_run(const std::string& name, std::size_t steps, const std::string& end = "") const {
    std::filesystem::create_directories(folder.path() / name);
    std::string text;
    for (std::size_t s = 1; s <= steps; ++s) text += step_line(s) + "\n";
    folder.write(name + "/metrics.jsonl", text + end);
  }
  std::string refusal(const std::string& what, int code) const {
    const Result result = run("top " + what);
    EXPECT_EQ(result.exit, code) << what << ": " << result.errors;
    EXPECT_EQ(result.output, "");
    return result.errors;
  }
};

TEST_F(Top, OfADirectoryIsPlainTextWhereTheOutputIsNoTerminal) {
  write_run("runs/a", 7, "{\"step\": 8, \"lo");  // torn: it is being written
  folder.write("runs/a/ranks.json", R"([{"seconds":{"compute":0.75},"bytes":{"device":{"gradients":512}}}])");
  // By a clock that is ahead, so that no second passes between what is compared.
  std::filesystem::last_write_time(folder.path() / "runs/a/metrics.jsonl",
                                   std::filesystem::file_time_type::clock::now() + std::chrono::minutes{1});
  const Result result = run("top runs/a | cat");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.output, AllOf(StartsWith("runs/a   last step 0 s ago   1 rank\nstep 7\n"), Not(HasSubstr("\033")),
                                   HasSubstr("device memory  512 B   gradients 512 B"), HasSubstr("100% of 750 ms")));
  EXPECT_EQ(run("top | cat").output, result.output) << "the newest under runs/";
}

TEST_F(Top, OfWhatIsNoRunSaysSo) {
  EXPECT_THAT(refusal("nowhere", 4), HasSubstr("nowhere is no run: there is no such directory"));
  EXPECT_THAT(refusal(".", 4), HasSubstr(". is no run, or one whose first step is not done: it has no metrics.jsonl"));
  EXPECT_THAT(refusal("", 4), HasSubstr("there is no run under runs/"));
  EXPECT_THAT(refusal("http://example.org/", 2), HasSubstr("those are http://HOST:PORT/"));
  EXPECT_THAT(refusal("--token-file nowhere runs", 4), HasSubstr("runs is no run"));
  EXPECT_THAT(refusal("70000", 2), HasSubstr("70000 is no port"));
  write_run("damaged", 2, "{\"step\": 3}\n");
  EXPECT_THAT(refusal("damaged", 4), HasSubstr("damaged/metrics.jsonl"));
}

TEST(PageAddress, IsReadFromWhatLaunchSays) {
  const auto read = [](const std::string& text) {
    const auto page = page_address(text);
    return page ? str(page->host, " ", page->port, " ", page->token) : "none";
  };
  EXPECT_EQ(read("http://node-a.cluster:8080/?token=0f"), "node-a.cluster 8080 0f");
  EXPECT_EQ(read("http://10.0.0.5:8080/"), "10.0.0.5 8080 ");
  EXPECT_EQ(read("node_a:80"), "node_a 80 ");
  EXPECT_EQ(read("http://[fd00::2]:8080/?token=a-._~+/="), "fd00::2 8080 a-._~+/=");
  for (const std::string bad : {"http://node-a/", "https://node-a:80/", "http://:80/", "node a:80", "a\r\nb:80", "a:8x",
                                "a:", "[]:80", "fd00::2:80", "http://", "", "x@y:80"})
    EXPECT_EQ(read(bad), "none") << bad;
  EXPECT_EQ(read("http://" + std::string(1 << 20, 'a') + "/"), "none");
  for (const std::string bad :
       {"a:0", "a:65536", "a:99999999999999999999", "a:80/?token=", "a:80/?token=x\r\ny", "a:80/?token=x&y=z"})
    EXPECT_THROW(page_address(bad), Error) << bad;
}

// What a program says that connects to this machine, and what it gets for it.
class Answering {
 public:
  explicit Answering(std::string answer) : answer_(std::move(answer)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    check(::bind(listener_, any, size) == 0 && ::listen(listener_, 1) == 0, "no port is free");
    ::getsockname(listener_, any, &size);
    port_ = ntohs(address.sin_port);
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(listener_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Answering() { ::close(listener_); }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;

  std::uint16_t port() const { return port_; }
  // Of the next one that comes, up to the end of its request; empty where nobody does for ten seconds.
  std::string request() const {
    const int peer = ::accept(listener_, nullptr, nullptr);
    std::string all;
    char buffer[4096];
    for (ssize_t n; !all.ends_with("\r\n\r\n") && (n = ::recv(peer, buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<std::size_t>(n));
    ::send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    ::close(peer);
    return all;
  }

 private:
  std::string answer_;
  int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port_ = 0;
};

constexpr const char* unauthorized = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

TEST_F(Top, ShowsAPageItsToken) {
  const Answering page{unauthorized};
  folder.write("token", " 5ec7e7\n");
  const auto said = [&](const std::string& words, const std::string& complaint) {
    std::string request;
    std::thread asked{[&] { request = page.request(); }};
    EXPECT_THAT(refusal(words, 2), AllOf(HasSubstr(complaint), HasSubstr("--token-file"), Not(HasSubstr("5ec7e7"))));
    asked.join();
    return request;
  };
  const std::string address = str("http://localhost:", page.port(), "/");
  EXPECT_THAT(said(address, "wants its token"), Not(HasSubstr("Authorization")));
  EXPECT_THAT(said("'" + address + "?token=5ec7e7'", "wants another token"),
              AllOf(StartsWith("GET /events HTTP/1.1\r\n"), HasSubstr("\r\nAuthorization: Bearer 5ec7e7\r\n"),
                    HasSubstr(str("\r\nHost: localhost:", page.port(), "\r\n"))));
  EXPECT_THAT(said("--token-file token " + address, "wants another token"),
              HasSubstr("\r\nAuthorization: Bearer 5ec7e7\r\n"));
}

TEST_F(Top, OfATokenThatIsNoneSaysSo) {
  folder.write("empty", "\n");
  folder.write("lines", "a\r\nX: b\n");
  EXPECT_THAT(refusal("--token-file nowhere 80", 2), HasSubstr("there is no token: "));
  for (const std::string file : {"empty", "lines"})
    EXPECT_THAT(refusal("--token-file " + file + " 80", 2), HasSubstr(file + " holds no token"));
  EXPECT_THAT(refusal("'http://localhost:80/?token=a b'", 2), HasSubstr("ends with no token"));
  write_run("runs/a", 2);
  EXPECT_THAT(refusal("--token-file empty runs/a", 2), HasSubstr("--token-file is for a page"));
}

TEST_F(Top, KeepsTheTokenOutOfTheProcessList) {
  const Answering silent{""};  // nobody accepts, so that it waits
  const Result result = shell(str("'" TRANCHE_PROGRAM "' top 'http://localhost:", silent.port(),
                                  "/?token=5ec7e7' & for i in $(seq 100); do tr '\\0' ' ' < /proc/$!/cmdline > words; "
                                  "grep -q 'token=[*]' words && break; sleep 0.05; done; kill $!; cat words"));
  EXPECT_THAT(result.output, AllOf(HasSubstr("/?token=******"), Not(HasSubstr("5ec7e7"))));
}

TEST_F(Top, OfAPortOnWhichThereIsNoPageSaysSo) {
  const std::string port = str(testing::free_port());
  EXPECT_THAT(refusal(port, 2), AllOf(HasSubstr("nothing listens on 127.0.0.1:" + port), HasSubstr("--port")));
  const Answering foreign{"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"};
  std::thread answering{[&] { foreign.request(); }};
  EXPECT_THAT(refusal(str("http://localhost:", foreign.port(), "/"), 2), HasSubstr("is no page of a run"));
  answering.join();
}

TEST_F(Top, OfAPageShowsRanksAndSteps) {
  write_run("runs/a", 30);
  Roll roll{2, Roll::Time::clock::now()};
  roll.joins({.token = "", .rank = 0, .ranks = 2, .machine = {"node-a"}, .pid = 5}, Roll::Time::clock::now());
  roll.says(0,
            {.step = 31,
             .phase = "training",
             .collectives = 9,
             .collective = "all_gather of blocks.3",
             .steps = 4,
             .seconds = {{"compute", 0.5}},
             .bytes = {{"host", {{"optimizer", 8192}}}}},
            Roll::Time::clock::now());
  boost::asio::io_context io{1};
  HttpServer server{io, {}, {folder.path() / "runs/a/metrics.jsonl", [&] {
                               return RunStatus{.run = "runs/a",
                                                .state = "running",
                                                .ranks = 2,
                                                .restarts = 3,
                                                .roll = &roll,
                                                .events = {"rank 1 is slow"},
                                                .steps = 60,
                                                .tokens_per_step = 2000};
                             }}};
  std::thread serving{[&] { io.run(); }};
  const Result result = run(str("top ", server.port(), " | cat"));
  io.stop();
  serving.join();
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.output,
              AllOf(StartsWith("runs/a   running   2 ranks   3 restarts\nstep 30/60  ▕"), HasSubstr("50%   60 s left"),
                    HasSubstr("host memory    8.00 KiB"), HasSubstr("9: all_gather of blocks.3"), HasSubstr("never"),
                    HasSubstr("\nrank 1 is slow\n")));
}

// ---- The terminal --------------------------------------------------------------------------------------------------

// The program on a terminal of its own.
class Terminal {
 public:
  Terminal(const std::filesystem::path& folder, const std::string& argument) {
    winsize size{.ws_row = 30, .ws_col = 90, .ws_xpixel = 0, .ws_ypixel = 0};
    int master = -1, slave = -1;  // of another terminal: what one is like before anybody has changed it
    if (::openpty(&master, &slave, nullptr, nullptr, nullptr) != 0 || ::tcgetattr(slave, &before_) != 0)
      throw std::runtime_error("no terminal can be made");
    ::close(master);
    ::close(slave);
    child_ = ::forkpty(&master_, nullptr, &before_, &size);
    if (child_ == 0) {
      if (::chdir(folder.c_str()) == 0) ::execl(TRANCHE_PROGRAM, "tranche", "top", argument.c_str(), nullptr);
      ::_exit(127);
    }
  }
  ~Terminal() {
    if (!ended_) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    ::close(master_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // What comes until `text` has come, or for five seconds.
  std::string until(const std::string& text) const {
    return collect([&](const std::string& all) { return all.find(text) != all.npos; });
  }
  // The same until a picture of so many lines is the last whole one; returns that.
  std::string until_lines(std::ptrdiff_t lines) const {
    std::string last;
    collect([&](const std::string& all) {
      const std::size_t end = all.rfind("\033[J"), begin = all.rfind("\033[H", end);
      if (end == all.npos || begin == all.npos) return false;
      last = all.substr(begin, end - begin);
      return std::ranges::count(last, '\n') + 1 == lines;
    });
    return last;
  }
  void type(const std::string& keys) const {
    EXPECT_EQ(::write(master_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  void resize(unsigned short rows, unsigned short columns) const {
    const winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(::ioctl(master_, TIOCSWINSZ, &size), 0);
  }
  void signal(int number) const { EXPECT_EQ(::kill(child_, number), 0); }
  tcflag_t local_modes() const {
    termios now{};
    EXPECT_EQ(::tcgetattr(master_, &now), 0);
    return now.c_lflag;
  }
  tcflag_t first_local_modes() const { return before_.c_lflag; }
  bool is_stopped() const {
    int status = 0;
    return ::waitpid(child_, &status, WUNTRACED) == child_ && WIFSTOPPED(status);
  }
  int exit() {
    int status = 0;
    ::waitpid(child_, &status, 0);
    ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  std::string collect(const std::function<bool(const std::string&)>& enough) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{5};
    std::string all;
    char buffer[4096];
    while (!enough(all) && std::chrono::steady_clock::now() < end) {
      pollfd waiting{.fd = master_, .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 5000) != 1) break;
      const ssize_t bytes = ::read(master_, buffer, sizeof buffer);
      if (bytes <= 0) break;  // EIO: nobody has the terminal open any more
      all.append(buffer, static_cast<std::size_t>(bytes));
    }
    return all;
  }

  int master_ = -1;
  pid_t child_ = -1;
  termios before_{};
  bool ended_ = false;
};

constexpr const char* taken = "\033[?1049h";
constexpr const char* given_back = "\033[?7h\033[?25h\033[?1049l";

TEST_F(Top, OnATerminalDrawsInPlaceAndGivesItBack) {
  write_run("runs/a", 20);
  for (const std::string end : {"q", "\003", "TERM"}) {
    Terminal terminal{folder.path(), "runs/a"};
    const std::string first = terminal.until("\033[J");
    EXPECT_THAT(first, AllOf(HasSubstr(taken), HasSubstr("\033[?25l"), HasSubstr("\033[1mruns/a\033[0m"),
                             HasSubstr("step 20")));
    EXPECT_EQ(terminal.local_modes() & (ICANON | ECHO), 0u);
    std::ofstream{folder.path() / "runs/a/metrics.jsonl", std::ios::app} << step_line(21) << "\n";
    EXPECT_THAT(terminal.until("step 21"), AllOf(HasSubstr("\033[H"), HasSubstr("step 21"))) << "drawn again";
    end == "TERM" ? terminal.signal(SIGTERM) : terminal.type(end);
    EXPECT_THAT(terminal.until(given_back), EndsWith(given_back)) << end;
    EXPECT_EQ(terminal.exit(), 0) << end;
    EXPECT_EQ(terminal.local_modes(), terminal.first_local_modes()) << end;
    write_run("runs/a", 20);
  }
}

TEST_F(Top, OnATerminalFollowsItsSizeAtOnce) {
  write_run("runs/a", 200);
  Terminal terminal{folder.path(), "runs/a"};
  EXPECT_THAT(terminal.until("\033[J"), HasSubstr("learning rate"));
  const auto begin = std::chrono::steady_clock::now();
  for (unsigned short rows = 17; rows < 25; ++rows) {  // the chart takes what is left
    terminal.resize(rows, 90);
    const std::string picture = terminal.until_lines(rows);
    EXPECT_EQ(std::ranges::count(picture, '\n') + 1, rows) << picture;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds{2500}) << "drawn anew twice a second anyway";
  terminal.resize(6, 20);
  const std::string small = terminal.until_lines(6);
  EXPECT_EQ(std::ranges::count(small, '\n'), 5) << small;
  EXPECT_THAT(small, Not(HasSubstr("steps 1 to 200")));
}

TEST_F(Top, OnATerminalGivesItBackWhileItIsStopped) {
  write_run("runs/a", 20);
  Terminal terminal{folder.path(), "runs/a"};
  terminal.until("\033[J");
  terminal.type("\032");
  EXPECT_THAT(terminal.until(given_back), EndsWith(given_back));
  EXPECT_TRUE(terminal.is_stopped());
  EXPECT_EQ(terminal.local_modes(), terminal.first_local_modes());
  terminal.signal(SIGCONT);
  EXPECT_THAT(terminal.until("step 20"), HasSubstr(taken));
  terminal.type("q");
  EXPECT_EQ(terminal.exit(), 0);
}

TEST_F(Top, OnATerminalLeavesAnErrorToBeRead) {
  write_run("damaged", 2, "{\"step\": 3}\n");
  Terminal terminal{folder.path(), "damaged"};
  EXPECT_THAT(terminal.until("is missing"), AllOf(HasSubstr("damaged/metrics.jsonl"), Not(HasSubstr(taken))));
  EXPECT_EQ(terminal.exit(), 4);
  write_run("runs/a", 2);
  Terminal later{folder.path(), "runs/a"};
  later.until("\033[J");
  std::ofstream{folder.path() / "runs/a/metrics.jsonl", std::ios::app} << "{}\n";
  const std::string end = later.until("is missing");
  EXPECT_LT(end.find(given_back), end.find("runs/a/metrics.jsonl")) << end;
  EXPECT_EQ(later.exit(), 4);
}

}  // namespace
}  // namespace tranche
