#include "launcher/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "launcher/stop.h"

namespace tranche {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

StepMetrics metrics_of(std::uint64_t step) {
  return {.step = step,
          .loss = 2.5,
          .learning_rate = 1e-3,
          .gradient_norm = 0.5,
          .loss_scale = 1024,
          .skipped = step == 3,
          .tokens_per_second = 10240,
          .peak_bytes = {},
          .communicated_bytes = {}};
}

std::string output_of(bool terminal, std::uint64_t steps) {
  std::string output;
  {
    Progress progress{0, steps, 2, terminal, [&](const std::string& text) { output += text; }};
    for (std::uint64_t step = 1; step <= steps; ++step) progress.step(metrics_of(step));
  }
  return output;
}

TEST(Progress, WithoutATerminalIsAPlainLineEverySoManySteps) {
  const std::string output = output_of(false, 5);
  EXPECT_THAT(output,
              ContainsRegex("step 2/5: loss 2.5000, 10.2k tokens/s, 0 s left, scale 1024, rate 0.001, norm 0.5\n"
                            "step 4/5: .*\nstep 5/5: .*\n$"));
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 3);
  EXPECT_EQ(output.find('\r'), output.npos);
}

TEST(Progress, OnATerminalIsOneLineDrawnOverAndOver) {
  const std::string output = output_of(true, 5);
  EXPECT_THAT(output, StartsWith("\r\033[Kstep 1/5 [####................] loss 2.5000"));
  EXPECT_THAT(output, HasSubstr("\r\033[Kstep 5/5 [####################] loss 2.5000"));
  EXPECT_EQ(output.find('\n'), output.size() - 1);  // what comes next begins a line
}

TEST(Progress, NumbersAreShort) {
  EXPECT_EQ(duration_text(95.4), "95 s");
  EXPECT_EQ(duration_text(700), "12 min");
  EXPECT_EQ(duration_text(12'000), "3 h 20 min");
  EXPECT_EQ(duration_text(7'200), "2 h");
  EXPECT_EQ(count_text(950), "950");
  EXPECT_EQ(count_text(1'234), "1.23k");
  EXPECT_EQ(count_text(10'240), "10.2k");
  EXPECT_EQ(count_text(1'310'000), "1.31M");
}

TEST(Stop, IsNotedAndTheProcessGoesOn) {
  watch_for_stop();
  EXPECT_FALSE(stop_requested());
  ::kill(::getpid(), SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  while (!stop_requested() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(stop_requested());
}

// oneDNN's products keep other things than a stack in the stack pointer: a handler's frame would land on them.
TEST(Stop, IsNeverHandledOnAThreadThatComputes) {
  sigset_t blocked;
  std::thread{[&] { ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked); }}.join();
  EXPECT_TRUE(sigismember(&blocked, SIGTERM));
  EXPECT_TRUE(sigismember(&blocked, SIGINT));
}

}  // namespace
}  // namespace tranche
