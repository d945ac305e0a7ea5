// The page of a run: what it serves, whom it refuses, and the report that needs no server.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "launcher/control/token.h"
#include "launcher/http/access.h"
#include "launcher/http/metrics_tail.h"
#include "launcher/http/server.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string line(int step, const std::string& loss = "2.5") {
  return str("{\"step\": ", step, ", \"loss\": ", loss,
             ", \"learning_rate\": 0.1, \"gradient_norm\": 1.0, \"loss_scale\": 1.0, \"skipped\": false, "
             "\"tokens_per_second\": 1000.0, \"saving_seconds\": 0.0, \"peak_bytes\": {\"parameters\": 4096}, "
             "\"communicated_bytes\": {\"all_gather\": 64}}");
}

TEST(MetricsTail, FollowsAFileThatGrowsIsCutAndGrowsAgain) {
  const testing::TemporaryFolder folder;
  MetricsTail tail{folder.path() / "metrics.jsonl"};
  EXPECT_THAT(tail.poll().lines, ElementsAre());
  folder.write("metrics.jsonl", "1\n2\n3");
  EXPECT_THAT(tail.poll().lines, ElementsAre("1", "2"));
  folder.write("metrics.jsonl", "1\n2\n3\n4\n");
  EXPECT_THAT(tail.poll().lines, ElementsAre("3", "4"));
  EXPECT_THAT(tail.poll().lines, ElementsAre());
  folder.write("metrics.jsonl", "1\n2\nthree\nfour\n");  // longer than before, but not what was read
  const MetricsTail::News news = tail.poll();
  EXPECT_TRUE(news.reset);
  EXPECT_THAT(news.lines, ElementsAre("1", "2", "three", "four"));
  folder.write("metrics.jsonl", "");
  EXPECT_TRUE(tail.poll().reset);
}

TEST(MetricsTail, BeginsWithAWholeLineNearTheEnd) {
  const testing::TemporaryFolder folder;
  folder.write("metrics.jsonl", "first\nsecond\nthird\n");
  MetricsTail tail{folder.path() / "metrics.jsonl", 10};
  EXPECT_THAT(tail.poll().lines, ElementsAre("third"));
}

class Page : public ::testing::Test {
 protected:
  Page() {
    roll.joins({.token = "", .rank = 0, .ranks = 2, .machine = {"a \"host\""}, .pid = 5}, Roll::Time::clock::now());
    roll.says(0, {.steps = 4, .seconds = {{"compute", 0.5}}, .bytes = {{"host", {{"optimizer", 8192}}}}},
              Roll::Time::clock::now());
    folder.write("metrics.jsonl", line(1) + "\n" + line(2, "\"nan\"") + "\n");
    serving = std::thread{[this] { io.run(); }};
  }
  ~Page() override {
    io.stop();
    serving.join();
  }
  int connection(std::uint16_t port) const {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return socket;
  }
  // What comes back until the server hangs up, or `end` has come.
  static std::string answer(int socket, const std::string& end = {}) {
    std::string all;
    char buffer[4096];
    for (ssize_t n; (end.empty() || all.find(end) == all.npos) && (n = ::recv(socket, buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<std::size_t>(n));
    ::close(socket);
    return all;
  }
  std::string raw(const std::string& request, const std::string& end = {}) const {
    const int socket = connection(server.port());
    EXPECT_EQ(::send(socket, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    return answer(socket, end);
  }
  std::string get(const std::string& path, const std::string& method = "GET") const {
    return raw(method + " " + path + " HTTP/1.1\r\nHost: localhost:" + std::to_string(server.port()) +
               "\r\nConnection: close\r\n\r\n");
  }

  testing::TemporaryFolder folder;
  Roll roll{2, Roll::Time::clock::now()};
  boost::asio::io_context io{1};
  HttpServer server{
      io, {}, {folder.path() / "metrics.jsonl", [this] {
                 return RunStatus{
                     .run = "runs/<b>", .state = "running", .ranks = 2, .restarts = 3, .dropped = 1, .roll = &roll};
               }}};
  std::thread serving;
};

TEST_F(Page, ServesThePageHealthAndMetrics) {
  EXPECT_THAT(get("/"), AllOf(StartsWith("HTTP/1.1 200 OK"), HasSubstr("Content-Security-Policy: default-src 'none'"),
                              HasSubstr("EventSource(\"events\")"), Not(HasSubstr("src=")), HasSubstr("</html>")));
  EXPECT_THAT(get("/health"), AllOf(StartsWith("HTTP/1.1 200 OK"), HasSubstr("\"state\":\"running\""),
                                    HasSubstr("\"heard of\":\"never\""), HasSubstr("\"seconds\":{\"compute\":0.125}"),
                                    HasSubstr("\"bytes\":{\"host\":{\"optimizer\":8192}}")));
  EXPECT_THAT(
      get("/metrics"),
      AllOf(HasSubstr("text/plain; version=0.0.4"), HasSubstr("\n# TYPE tranche_step gauge\ntranche_step 2\n"),
            HasSubstr("\ntranche_loss NaN\n"), HasSubstr("\ntranche_restarts_total 3\n"),
            HasSubstr("tranche_rank_up{rank=\"1\"} 0\n"), HasSubstr("tranche_peak_bytes{of=\"parameters\"} 4096\n"),
            HasSubstr("tranche_rank_seconds_total{rank=\"0\",kind=\"compute\"} 0.5\n"),
            HasSubstr("tranche_rank_peak_bytes{rank=\"0\",tier=\"host\",of=\"optimizer\"} 8192\n")));
  EXPECT_THAT(get("/", "HEAD"), AllOf(StartsWith("HTTP/1.1 200 OK"), Not(HasSubstr("<html"))));
}

TEST_F(Page, TellsNewStepsAsTheyCome) {
  const int socket = connection(server.port());
  const std::string request = "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  ::send(socket, request.data(), request.size(), MSG_NOSIGNAL);
  std::ofstream{folder.path() / "metrics.jsonl", std::ios::app} << line(3) << "\n";
  const std::string events = answer(socket, "\"step\": 3,");
  EXPECT_THAT(events, AllOf(HasSubstr("Content-Type: text/event-stream"), HasSubstr("event: step\ndata: {\"step\": 1,"),
                            HasSubstr("{\"step\": 3,"), HasSubstr("event: status\ndata: {\"run\":\"runs/<b>\"")));
}

TEST_F(Page, RefusesWhatItShould) {
  EXPECT_THAT(get("/../etc/passwd"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(get("/metrics/"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(get("/", "POST"), AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: GET, HEAD")));
  EXPECT_THAT(raw("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 403"));
  EXPECT_EQ(raw("GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n"), "");
  EXPECT_EQ(raw(std::string("\x16\x03\x01\0\0\r\n\r\n", 9)), "");
  EXPECT_THAT(get("/health"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Page, WhoAsksNothingKeepsNobodyOut) {
  std::vector<int> silent(2 * HttpServer::most_clients);
  for (int& socket : silent) socket = connection(server.port());
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(get("/health"), StartsWith("HTTP/1.1 200"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{5});  // the server waits ten for a request
  for (const int socket : silent) ::close(socket);
}

TEST_F(Page, WhoMayLookIsNotPushedAside) {
  const int looking = connection(server.port());
  const std::string request = "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  ::send(looking, request.data(), request.size(), MSG_NOSIGNAL);
  char first = 0;
  EXPECT_EQ(::recv(looking, &first, 1, MSG_PEEK), 1);
  std::vector<int> silent(2 * HttpServer::most_clients);
  for (int& socket : silent) socket = connection(server.port());
  std::ofstream{folder.path() / "metrics.jsonl", std::ios::app} << line(3) << "\n";
  EXPECT_THAT(answer(looking, "\"step\": 3,"), HasSubstr("\"step\": 3,"));
  for (const int socket : silent) ::close(socket);
}

// The same page where other machines reach it: what this one's loopback asks by another name is treated as theirs is.
class OpenPage : public Page {
 protected:
  static std::string elsewhere(const std::string& more = {}) {
    return "Host: node-a:8080\r\nConnection: close\r\n" + more + "\r\n";
  }
  std::string ask(const std::string& target, const std::string& headers = {}, const std::string& method = "GET") const {
    const int socket = connection(open.port());
    const std::string request = method + " " + target + " HTTP/1.1\r\n" + elsewhere(headers);
    ::send(socket, request.data(), request.size(), MSG_NOSIGNAL);
    return answer(socket);
  }
  const std::string token = new_token();
  boost::asio::io_context open_io{1};
  HttpServer open{open_io,
                  {.address = "0.0.0.0", .token = token, .token_told = "The token is in run/page-token."},
                  {folder.path() / "metrics.jsonl", [] { return RunStatus{}; }}};
  std::jthread serving_open{[this](const std::stop_token&) { open_io.run(); }};
  ~OpenPage() override { open_io.stop(); }
};

TEST_F(OpenPage, IsShownToWhoHasTheToken) {
  const std::string first = ask("/?token=" + token);
  const std::string cookie = str("tranche-", open.port(), "=", token);
  EXPECT_THAT(first, AllOf(StartsWith("HTTP/1.1 303"), HasSubstr("\r\nLocation: /\r\n"),
                           HasSubstr("Set-Cookie: " + cookie + "; HttpOnly; SameSite=Strict; Path=/\r\n")));
  for (const std::string path : {"/", "/health", "/metrics"}) {
    EXPECT_THAT(ask(path, "Cookie: theme=dark; " + cookie + "\r\n"), StartsWith("HTTP/1.1 200")) << path;
    EXPECT_THAT(ask(path, "Authorization: Bearer " + token + "\r\n"), StartsWith("HTTP/1.1 200")) << path;
    EXPECT_THAT(ask(path, "Authorization: Bearer " + token + "\r\n"), Not(HasSubstr(token))) << path;
  }
  EXPECT_THAT(ask("/health", "Authorization: bearer " + token + "\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(ask("/?a=b&token=" + token), StartsWith("HTTP/1.1 303"));
  EXPECT_THAT(ask("/", "Cookie: " + cookie + "\r\n", "HEAD"),
              AllOf(StartsWith("HTTP/1.1 200"), Not(HasSubstr("<html"))));
}

TEST_F(OpenPage, IsNotShownToOthersAndTellsThemWhereTheTokenIs) {
  const std::string name = str("tranche-", open.port(), "=");
  const std::vector<std::string> headers{
      "",
      "Authorization: Bearer \r\n",
      "Authorization: Basic " + token + "\r\n",
      "Authorization: Bearer " + token.substr(1) + "\r\n",
      "Authorization: Bearer " + token.substr(0, 63) + "\r\n",
      "Authorization: Bearer " + token + "0\r\n",
      "Authorization: Bearer " + std::string(7000, '0') + "\r\n",
      "Cookie: tranche-1=" + token + "\r\n",
      "Cookie: x" + name + token + "\r\n",
      "Cookie: " + name + "0; " + name + token + "\r\n",
      "Cookie: " + name + "\r\n",
  };
  for (const std::string& each : headers)
    for (const std::string path : {"/", "/health", "/metrics", "/events", "/nothing"})
      EXPECT_THAT(ask(path, each), AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("WWW-Authenticate: Bearer"),
                                         HasSubstr("The token is in run/page-token."), Not(HasSubstr(token))))
          << path << " " << each;
  for (const std::string& target :
       std::vector<std::string>{"/?token=", "/?token", "/?token=0", "/?tokens=" + token, "/?", "/??token=" + token,
                                "/?token=" + token.substr(0, 63), "/?token=" + std::string(7000, '0'),
                                "/health?token=" + token, "//?token=" + token})
    EXPECT_THAT(ask(target), StartsWith("HTTP/1.1 401")) << target;
  EXPECT_THAT(ask("/health", "", "HEAD"), AllOf(StartsWith("HTTP/1.1 401"), Not(HasSubstr("wants its token"))));
  EXPECT_EQ(ask("/", "Authorization: Bearer " + std::string(9000, '0') + "\r\n"), "") << "longer than any request";
}

TEST_F(OpenPage, NeedsNoTokenOnThisMachine) {
  const int socket = connection(open.port());
  const std::string request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  ::send(socket, request.data(), request.size(), MSG_NOSIGNAL);
  EXPECT_THAT(answer(socket), StartsWith("HTTP/1.1 200"));
}

TEST_F(OpenPage, CountsWhomItRefuses) {
  const std::string bearer = "Authorization: Bearer " + token + "\r\n";
  EXPECT_THAT(ask("/metrics", bearer), HasSubstr("\ntranche_refused_requests_total 0\n"));
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) ask("/", "Cookie: x=y\r\n");
  const std::string metrics = ask("/metrics", bearer), told = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(metrics, HasSubstr("\ntranche_refused_requests_total 3\n"));
  EXPECT_THAT(told, HasSubstr("the page has refused 1 request without its token, the last from 127.0.0.1\n"));
  EXPECT_EQ(told.find("refused"), told.rfind("refused")) << "once a minute";
}

TEST(Refusals, AreToldOnceAMinute) {
  Refusals refusals;
  const Refusals::Time start{};  // of the machine
  EXPECT_THAT(refusals.count("10.0.0.1", start),
              HasSubstr("refused 1 request without its token, the last from 10.0.0.1"));
  EXPECT_EQ(refusals.count("10.0.0.1", start + std::chrono::seconds{1}), "");
  EXPECT_EQ(refusals.count("10.0.0.1", start + std::chrono::seconds{59}), "");
  EXPECT_THAT(refusals.count("10.0.0.2", start + std::chrono::seconds{60}), HasSubstr("refused 3 requests"));
  EXPECT_EQ(refusals.all(), 4u);
}

TEST(Access, FromOtherMachinesANameOfTheLoopbackDoesNotHelp) {
  const PageAccess access{"secret", 80};
  EXPECT_EQ(access.admit({.from_loopback = false, .host = "localhost", .target = "/"}), Admission::unknown);
  EXPECT_EQ(access.admit({.from_loopback = true, .host = "[::1]:80", .target = "/"}), Admission::granted);
  EXPECT_EQ(access.admit({.from_loopback = true, .host = "127.0.0.9", .target = "/"}), Admission::granted);
  const PageAccess closed{"", 80};
  EXPECT_EQ(closed.admit({.from_loopback = false, .host = "localhost", .target = "/?token="}), Admission::foreign);
  EXPECT_EQ(closed.admit({.from_loopback = true, .host = "localhost.evil", .target = "/"}), Admission::foreign);
}

TEST(Place, WhatIsNoAddressOfThisMachineIsToldAsSuch) {
  boost::asio::io_context io;
  for (const auto& [address, told] : {std::pair{"nowhere", "'nowhere' is no address"},
                                      {"", "'' is no address"},
                                      {"203.0.113.77", "203.0.113.77 is no address of this machine: give one of"},
                                      {"224.0.0.1", "224.0.0.1 is no address of this machine"}})
    try {
      HttpServer server{io, {.address = address}, {}};
      FAIL() << address;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::usage);
      EXPECT_THAT(error.what(), HasSubstr(told));
    }
}

TEST_F(Page, APortThatIsTakenIsToldAsSuch) {
  boost::asio::io_context other;
  try {
    HttpServer second{other, {.port = server.port()}, {}};
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::usage);
    EXPECT_THAT(error.what(), HasSubstr("of 127.0.0.1 cannot be used"));
  }
}

class Report : public Program {};

TEST_F(Report, IsOnePageWithTheFiguresOfRuns) {
  std::filesystem::create_directories(folder.path() / "a");
  std::filesystem::create_directories(folder.path() / "b<script>");
  folder.write("a/metrics.jsonl", line(1) + "\n" + line(2, "1.25") + "\n{\"step\": 3, \"lo");
  folder.write("a/ranks.json", R"([{"seconds":{"compute":0.75},"bytes":{"device":{"gradients":512}}}])");
  folder.write("b<script>/metrics.jsonl", line(1, "\"inf\"") + "\n");
  const Result result = run("report a 'b<script>' -o r.html");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_EQ(result.output, "r.html: 2 runs\n");
  std::ifstream stream{folder.path() / "r.html"};
  const std::string page{std::istreambuf_iterator<char>{stream}, {}};
  EXPECT_THAT(page, AllOf(HasSubstr("\"loss\":1.25"), HasSubstr("b\\u003cscript>"), HasSubstr("\"parameters\":4096"),
                          HasSubstr("\"compute\":0.75"), HasSubstr("\"gradients\":512"), Not(HasSubstr("b<script>")),
                          Not(HasSubstr("src=")), Not(HasSubstr("https:"))));
}

TEST_F(Report, NamesWhatIsNoRun) {
  const Result missing = run("report nowhere");
  EXPECT_EQ(missing.exit, 4);
  EXPECT_THAT(missing.errors, HasSubstr("nowhere is no run: it has no metrics.jsonl"));
  folder.write("metrics.jsonl", line(1) + "\n{\"step\": 2}\n");
  const Result damaged = run("report .");
  EXPECT_EQ(damaged.exit, 4);
  EXPECT_THAT(damaged.errors, HasSubstr("metrics.jsonl:2"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "report.html"));
}

}  // namespace
}  // namespace tranche
