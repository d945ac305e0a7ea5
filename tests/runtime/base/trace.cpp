#include "runtime/base/trace.h"

#include <gmock/gmock.h>

#include <thread>

#include "runtime/base/json.h"

namespace tranche::trace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> names(const Recording& recording) {
  std::vector<std::string> all;
  for (const Event& each : recording.events) all.push_back(each.name());
  return all;
}

TEST(Trace, HoldsWhatBeganAndEndedWhileItRecorded) {
  { const Span before{Kind::compute, "before"}; }
  auto open = std::make_unique<Span>(Kind::compute, "begun before");
  start();
  open.reset();
  {
    const Span step{Kind::step, "step", 7};
    const Span forward{Kind::compute, "forward", "blocks.3", 64};
  }
  open = std::make_unique<Span>(Kind::compute, "ends after");
  const Recording recording = stop();
  open.reset();
  { const Span after{Kind::compute, "after"}; }
  ASSERT_THAT(names(recording), ElementsAre("step 7", "forward blocks.3"));
  const Event &outer = recording.events[0], &inner = recording.events[1];
  EXPECT_TRUE(outer.begin <= inner.begin && inner.begin <= inner.end && inner.end <= outer.end);
  EXPECT_EQ(inner.kind, Kind::compute);
  EXPECT_EQ(inner.bytes, 64u);
  EXPECT_EQ(inner.thread, outer.thread);
}

TEST(Trace, CountsWhatDoesNotFit) {
  start(2);
  for (std::uint64_t i = 0; i < 5; ++i) const Span span{Kind::step, "step", i};
  const Recording recording = stop();
  EXPECT_THAT(names(recording), ElementsAre("step 0", "step 1"));
  EXPECT_EQ(recording.dropped, 3u);
  start();
  EXPECT_THAT(names(stop()), IsEmpty());
}

TEST(Trace, KeepsTheEndOfALongName) {
  const std::string text = std::string(100, 'x') + ".h5";
  start();
  { const Span span{Kind::disk, "write", text}; }
  EXPECT_THAT(names(stop()), ElementsAre("write " + text.substr(text.size() - Event::longest)));
}

// What a listener was told, in order: names as they begin, "end".
std::vector<std::string> told;
constexpr Listener hears{.begin = [](const Event& event) { told.push_back(event.name()); },
                         .end = [] { told.emplace_back("end"); }};

TEST(AListener, HearsOfEachSpanAsItBeginsAndEndsWithOrWithoutARecording) {
  told.clear();
  { const Span before{Kind::step, "before"}; }
  tell(&hears);
  auto open = std::make_unique<Span>(Kind::step, "step", 7);
  start();
  { const Span forward{Kind::compute, "forward", "blocks.3"}; }
  EXPECT_THAT(names(stop()), ElementsAre("forward blocks.3"));
  tell(nullptr);
  { const Span after{Kind::step, "after"}; }
  open.reset();  // whoever heard of its beginning hears of its end
  EXPECT_THAT(told, ElementsAre("step 7", "forward blocks.3", "end", "end"));
}

TEST(AListener, GetsANameInMemoryOfItsOwnCutWhereThatEnds) {
  Event event;
  event.what = "step";
  event.number = 1234;
  char text[7];
  EXPECT_EQ(event.name(text), "step 12");
  EXPECT_EQ(event.name(), "step 1234");
}

TEST(Trace, TellsThreadsApart) {
  start();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([] {
      name_thread("worker");
      for (int i = 0; i < 1000; ++i) const Span span{Kind::copy, "copy"};
    });
  threads.clear();
  const Recording recording = stop();
  std::map<std::uint32_t, int> by_thread;
  for (const Event& each : recording.events) {
    ++by_thread[each.thread];
    EXPECT_STREQ(each.thread_name, "worker");
  }
  EXPECT_EQ(by_thread.size(), 4u);
  for (const auto& [thread, count] : by_thread) EXPECT_EQ(count, 1000);
}

TEST(Accounts, GiveTimeToTheInnermostSpanOfTheirThread) {
  const auto pass = [](int milliseconds) {
    for (const std::int64_t end = now() + milliseconds * 1'000'000; now() < end;) continue;
  };
  const auto of = [](const Account::Seconds& seconds, Kind kind) { return seconds[static_cast<std::size_t>(kind)]; };
  { const Span before{Kind::disk, "before"}; }
  Account account;
  const std::int64_t begin = now();
  {
    const Span forward{Kind::compute, "forward"};
    pass(4);
    {
      const Span wait{Kind::wait, "wait"};
      pass(20);
    }
    std::thread{[&] {
      const Span elsewhere{Kind::copy, "on another thread"};
      pass(1);
    }}.join();
  }
  const Account::Seconds spent = account.so_far();
  EXPECT_GE(of(spent, Kind::compute), 0.005);
  EXPECT_GE(of(spent, Kind::wait), 0.020);
  EXPECT_EQ(of(spent, Kind::copy), 0);
  EXPECT_EQ(of(spent, Kind::disk), 0);
  double all = 0;
  for (const double each : spent) all += each;
  EXPECT_NEAR(all, 1e-9 * static_cast<double>(now() - begin), 0.002);  // nothing is counted twice, or lost
}

TEST(Trace, IsChromesFormat) {
  const Event step{.kind = Kind::step, .what = "step", .number = 3, .thread = 5, .begin = 2'000'500, .end = 2'003'000};
  Event write{.kind = Kind::disk, .what = "write", .bytes = 12, .thread = 5, .begin = 2'001'000, .end = 2'001'250};
  write.of[0] = '"';
  write.length = 1;
  const Json events = parse_json("[" + chrome_events({step, write}, 1, 2'000'000) + "]", "trace", Exit::internal);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0],
            parse_json(R"({"ph": "M", "pid": 1, "tid": 5, "name": "process_name", "args": {"name": "rank 1"}})",
                       "expected", Exit::internal));
  EXPECT_EQ(events[1]["args"]["name"], "thread 5");
  EXPECT_EQ(events[2], parse_json(R"({"ph": "X", "pid": 1, "tid": 5, "ts": 0.5, "dur": 2.5, "name": "step 3",
                                      "cat": "step"})",
                                  "expected", Exit::internal));
  EXPECT_EQ(events[3]["name"], "write \"");
  EXPECT_EQ(events[3]["args"]["bytes"], 12);
  EXPECT_EQ(chrome_events({}, 0, 0), "");
}

}  // namespace
}  // namespace tranche::trace
