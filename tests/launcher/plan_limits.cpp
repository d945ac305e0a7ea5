// Plans and runs at limits that sanitizers would move: of time, and of a process's addresses.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Limits : public Program {};

TEST_F(Limits, OfATrillionParametersOnFourThousandRanksArePlannedInUnderTwoSeconds) {
  folder.write("job.json", R"({
    "model": {"model_type": "gpt2", "n_layer": 128, "n_head": 200, "n_embd": 25600, "n_positions": 2048,
              "vocab_size": 50304},
    "data": {"train": "nowhere.h5", "sequence_length": 2048},
    "steps": 10, "train_batch_size": 4096, "train_micro_batch_size_per_gpu": 1, "bf16": {"enabled": true},
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-4}}, "zero_optimization": {"stage": 3}})");
  const auto began = std::chrono::steady_clock::now();
  const Result result = run("plan job.json --ranks 4096 --ranks-per-host 8 --device-memory 80GiB");
  EXPECT_EQ(result.exit, 6) << result.errors;
  EXPECT_THAT(result.output, AllOf(HasSubstr("gpt2 of 1.01T parameters"), HasSubstr("Stages and tiers on 4096 ranks"),
                                   HasSubstr("4096 ranks --set activation_checkpointing.enabled=true")));
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  // One of the two: it shares its work among processors, which other programs may keep it waiting for.
  EXPECT_LT(std::min(passed.count(), seconds(usage.ru_utime) + seconds(usage.ru_stime)), 2);
  EXPECT_LT(usage.ru_maxrss, 256 * 1024) << "KiB";
}

TEST_F(Limits, OfTheMachinesMemoryAreToldWithTheLedgerAndThePlan) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "In the beginning was the word. ";
  folder.write("text.txt", text);
  ASSERT_EQ(run("tokenize --tokenizer byte --output train.h5 text.txt").exit, 0);
  write_job();
  // 68 million parameters: 1.1 GB of state, where a process may have 900 MB of addresses.
  const Result result = shell("ulimit -v 900000; '" TRANCHE_PROGRAM
                              "' train job.json --set model.n_embd=2048 "
                              "--set model.n_head=8 --set device.threads=1");
  EXPECT_EQ(result.exit, 6) << result.errors;
  EXPECT_THAT(result.errors, AllOf(HasSubstr("error: out of memory: the machine has no "), HasSubstr("memory ledger:"),
                                   HasSubstr("largest owners:"), HasSubstr("The plan of this job"),
                                   HasSubstr("Stages and tiers on 1 rank")));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "runs/job/step-000001"));
}

}  // namespace
}  // namespace tranche
