// The program trains on emulated GPUs under mpirun. The emulator ends a run at an access that nothing orders or that
// reads what nobody wrote, at a copy in the wrong place, and at whatever is left when it ends (docs/cuda.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/cuda_emulation/on_gpus.h"

namespace tranche::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class CudaTraining : public OnEmulatedGpus, public ::testing::WithParamInterface<Numbers> {
 protected:
  CudaTraining() : OnEmulatedGpus(GetParam()) {}
};

TEST_P(CudaTraining, HasTheSameBitsOnEveryNumberOfRanksStageTierAndOrderOfStreams) {
  const std::string expected = digest_after({}, "alone");
  const OnGpus runs[]{
      {{.ranks = 1, .stage = 3, .recompute = true, .offload = Offload::slices_to_host}, "random:3"},
      {{.ranks = 2, .stage = 1, .offload = Offload::partly_to_host}, "lazy"},
      {{.ranks = 2, .stage = 2, .offload = Offload::to_disk}, "random:1"},
      {{.ranks = 2, .stage = 3}, "random:4", {"device.collectives=host"}},
      {{.ranks = 4, .stage = 3}, "lazy"},
      {{.ranks = 4, .stage = 0}, "random:2"},
  };
  for (const OnGpus& run : runs) {
    const std::string directory = str("ranks-", run.arrangement.ranks, "-stage-", run.arrangement.stage);
    EXPECT_EQ(digest_after(run, directory), expected) << name_of(run.arrangement) << ", streams " << run.streams;
    EXPECT_EQ(losses(directory), losses("alone"));
  }
  std::size_t skipped = 0;
  for (const Json& step : metrics("alone")) skipped += step["skipped"].get<bool>();
  EXPECT_EQ(skipped > 0, numbers_ == Numbers::float16);
  EXPECT_LT(skipped, steps);
}

// Half of the run on one kind of device, half on the other: a checkpoint knows no device.
TEST_F(OnEmulatedGpus, GoesOnFromACheckpointOnOtherRanksAndSavesBesideTheSteps) {
  const std::string expected = digest_after({}, "whole");
  digest_after({{.ranks = 2, .stage = 2}, "eager", {"checkpoint.every=1", "checkpoint.asynchronous=true"}}, "resumed",
               1);
  EXPECT_EQ(digest_after({{.ranks = 1, .offload = Offload::to_host}, "lazy"}, "resumed"), expected);
}

// Sums of NCCL's own are near the canonical ones, and the same again; what they are not is said.
TEST_P(CudaTraining, SumsByNcclWhereItIsAskedTo) {
  const std::vector<std::string> fast{"reduction=fast"};
  const std::string canonical = digest_after({}, "alone");
  EXPECT_EQ(digest_after({{.ranks = 1}, "eager", fast}, "alone-fast"), canonical);
  const std::string first = digest_after({{.ranks = 4, .stage = 3}, "lazy", fast}, "fast");
  EXPECT_NE(first, canonical);
  EXPECT_EQ(digest_after({{.ranks = 4, .stage = 1}, "random:7", fast}, "again"), first);
  EXPECT_THAT(read_small_file((run_.folder() / "fast.log").string()), HasSubstr("reduction is fast: the sums"));
  const std::vector<double> near = losses("fast"), exact = losses("alone");
  ASSERT_EQ(near.size(), exact.size());
  for (std::size_t step = 0; step < near.size(); ++step)
    EXPECT_NEAR(near[step], exact[step], numbers_ == Numbers::float32 ? 1e-5 : 1e-2);
}

// Each unit's forward and backward as one CUDA graph; where a machine has none, the run says so.
TEST_P(CudaTraining, HasTheSameBitsWithGraphs) {
  const std::string expected = digest_after({}, "alone");
  const std::vector<std::string> graphs{"device.cuda_graphs=true"};
  const OnGpus runs[]{
      {{.ranks = 1, .offload = Offload::to_host}, "eager", graphs},
      {{.ranks = 2, .stage = 2, .recompute = true, .offload = Offload::to_host}, "lazy", graphs},
      {{.ranks = 2, .stage = 3}, "random:6", graphs},
  };
  for (const OnGpus& run : runs)
    EXPECT_EQ(digest_after(run, str("ranks-", run.arrangement.ranks, "-stage-", run.arrangement.stage)), expected)
        << name_of(run.arrangement) << ", streams " << run.streams;
  const std::string log = (run_.folder() / "refused.log").string();
  EXPECT_NE(
      program(str("TRANCHE_EMULATED_GRAPHS=none " TRANCHE_PROGRAM " train ", run_.write_job(job(), "refused").string(),
                  " --device cuda --set steps=1 --set device.cuda_graphs=true 2> ", log)),
      0);
  EXPECT_NE(read_small_file(log).find("cudaStreamBeginCapture"), std::string::npos);
}

// A range as the tool that stands for NVIDIA's saw it (library/nvtx.cpp).
struct Range {
  std::size_t thread = 0, depth = 0, bytes = 0;
  std::string kind, name;
};
std::vector<Range> ranges_in(const std::filesystem::path& file) {
  std::ifstream stream{file};
  std::vector<Range> all;
  for (Range each; stream >> each.thread >> each.depth >> each.kind >> each.bytes && stream.get() &&
                   std::getline(stream, each.name);)
    all.push_back(each);
  return all;
}

// The tool ends a run whose ranges do not pair.
TEST_F(OnEmulatedGpus, ShowAProfilerWhatTheyDoUnderTheNamesOfTheTrace) {
  const std::string expected = digest_after({}, "alone");
  const OnGpus run{{.ranks = 2, .stage = 3, .offload = Offload::slices_to_host},
                   "lazy",
                   {},
                   str("TRANCHE_EMULATED_TOOL=", (run_.folder() / "ranges").string())};
  EXPECT_EQ(digest_after(run, "profiled"), expected);

  std::size_t ranks = 0;
  for (const auto& entry : std::filesystem::directory_iterator{run_.folder()}) {
    if (!entry.path().filename().string().starts_with("ranges.")) continue;
    ++ranks;
    const std::vector<Range> all = ranges_in(entry.path());
    const auto expect = [&](const std::string& name, const std::string& kind, std::size_t depth) {
      const auto found = std::ranges::find(all, name, &Range::name);
      ASSERT_TRUE(found != all.end()) << name;
      EXPECT_EQ(found->kind, kind) << name;
      EXPECT_EQ(found->depth, depth) << name;
    };
    expect("step 1", "step", 0);
    expect("forward blocks.0", "compute", 2);  // of a micro-batch, of a step
    expect("backward blocks.0", "compute", 2);
    expect("give to NCCL gather blocks.0", "copy", 0);  // on a thread of their own
    expect("give to NCCL reduce blocks.0", "copy", 0);
    const auto copy = std::ranges::find(all, "begin a copy between tiers", &Range::name);
    ASSERT_TRUE(copy != all.end());
    EXPECT_GT(copy->bytes, 0u);
    EXPECT_EQ(std::ranges::count(all, std::string{"step 1"}, &Range::name), 1);
    EXPECT_EQ(std::ranges::count(all, std::string{"clip"}, &Range::name), std::ptrdiff_t{steps});
  }
  EXPECT_EQ(ranks, 2u);
}

TEST_P(CudaTraining, LosesWhatTheCpuLoses) {
  digest_after({}, "on_gpu");
  run_.digest_after(steps, job(), {}, "on_cpu");
  const std::vector<double> losses = this->losses("on_gpu");
  ASSERT_EQ(losses.size(), steps);
  const double bound = numbers_ == Numbers::float32 ? 1e-5 : 1e-3;
  EXPECT_NEAR(losses.front(), run_.last().first_loss, bound);
  EXPECT_NEAR(losses.back(), run_.last().loss, bound);
}

// A collective that never ends, of which NCCL says so on one rank: the job ends with the reason, and no rank waits.
TEST_F(OnEmulatedGpus, AFailureOfNcclEndsTheJobWithItsReason) {
  for (const char* order : {"eager", "lazy"}) {
    const auto [exit, told] = training_with(str("TRANCHE_EMULATED_NCCL_FAULT=1:9 TRANCHE_STREAM_ORDER=", order));
    EXPECT_EQ(exit, static_cast<int>(Exit::ranks)) << told;
    EXPECT_THAT(told, AllOf(HasSubstr("NCCL reports of rank 1/2: remote process exited or there was a network error"),
                            HasSubstr("the newest collective of GPUs is number"), HasSubstr("NCCL_DEBUG=WARN"),
                            HasSubstr("while training step 1")));
  }
}

TEST_F(OnEmulatedGpus, ItsPlanIsWhatItMeasures) {
  for (const OnGpus& run : {OnGpus{{.ranks = 2, .stage = 3}},
                            {{.ranks = 2, .stage = 1, .recompute = true, .offload = Offload::to_host}},
                            {{.ranks = 1, .offload = Offload::partly_to_host}},
                            {{.ranks = 1}},
                            {{.ranks = 4, .stage = 2}, "eager", {"reduction=fast"}}}) {
    const std::string directory = str("measured-", run.arrangement.ranks, "-", run.arrangement.stage, "-",
                                      static_cast<int>(run.arrangement.offload));
    digest_after(run, directory);
    expect_measured_as_planned(run, directory);
  }
}

TEST_F(OnEmulatedGpus, EvaluatesAndGeneratesAsTheCpuDoes) {
  digest_after({}, "job");
  const std::string job = (run_.folder() / "job").string();
  const auto on = [&](const char* device, const std::string& what) {
    return printed_by(str(what, " --device ", device));
  };
  const std::string evaluate =
      str("evaluate ", job, ".json --samples 4 --set data.validation=", (run_.folder() / "train.h5").string());
  EXPECT_EQ(on("cuda", evaluate), on("cpu", evaluate));
  const std::string generate = str("generate ", job, " --tokens 20 --temperature 0 --prompt 'the '");
  EXPECT_EQ(on("cuda", generate), on("cpu", generate));
}

INSTANTIATE_TEST_SUITE_P(Numbers, CudaTraining, ::testing::Values(Numbers::float32, Numbers::float16),
                         [](const auto& each) { return each.param == Numbers::float32 ? "float32" : "float16"; });

}  // namespace
}  // namespace tranche::testing
