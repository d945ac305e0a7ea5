// The plan of ranks that are processes, which read each other's memory or send each other messages.
#include "launcher/plan.h"

#include <gtest/gtest.h>

#include "tests/launcher/planned.h"
#include "tests/ranks/session.h"

namespace tranche::testing {
namespace {

struct Case {
  std::size_t stage;
  bool overlap;
};

class MpiPlan : public ::testing::TestWithParam<Case> {
 protected:
  void expect_measured(std::size_t ranks_on_host, const MpiOptions& options) {
    SmallRun run;
    const SmallJob small{.numbers = Numbers::bfloat16};
    Job job{read_job(run.write_job(small, "planned"),
                     {"model.n_embd=64", str("zero_optimization.stage=", GetParam().stage),
                      str("zero_optimization.overlap_comm=", GetParam().overlap ? "true" : "false")})};
    job.settle(session().size());
    const Plan planned = make_plan(job, ranks_on_host);
    CpuDevice device{1, Device::unlimited, options.shared_memory ? Sharing::with_host : Sharing::nothing};
    const std::unique_ptr<Communicator> world = session().communicator(device, options);
    CpuDevice host{1, Device::unlimited, Sharing::nothing, Tier::host};
    SwapDisk disk{job.offload};
    const Plan measured = measure(job, planned.steps, *world, {device, host, disk});
    EXPECT_EQ(text_of(planned.memories), text_of(measured.memories));
    EXPECT_EQ(text_of(planned.traffic), text_of(measured.traffic));
  }
};

TEST_P(MpiPlan, OfOneHostIsWhatTheRunMeasures) { expect_measured(session().size(), {}); }
TEST_P(MpiPlan, OfAHostForEachRankIsWhatTheRunMeasures) { expect_measured(1, {.shared_memory = false}); }
TEST_P(MpiPlan, OfHostsOfTwoIsWhatTheRunMeasures) {
  if (session().size() % 2 == 0) expect_measured(2, {.ranks_of_a_host = 2});
}

INSTANTIATE_TEST_SUITE_P(Stages, MpiPlan,
                         ::testing::Values(Case{0, false}, Case{1, false}, Case{2, true}, Case{3, true},
                                           Case{3, false}));

}  // namespace
}  // namespace tranche::testing
