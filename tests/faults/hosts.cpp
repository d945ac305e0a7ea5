// `tranche launch` over hosts that ssh reaches: one is switched off, one is cut off, their wire is slow.
#include <gmock/gmock.h>

#include "tests/faults/three_hosts.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Hosts : public ThreeHosts {
 protected:
  void SetUp() override {
    ThreeHosts::SetUp();
    write_job(R"(, "checkpoint": {"directory": "run", "every": 20, "keep": 2})");
  }
  std::string digest(const std::string& directory) const {
    const Result result = run("checkpoint digest " + directory);
    EXPECT_EQ(result.exit, 0) << result.errors;
    return result.output;
  }
  // Of the same job on one rank, to which nothing happens.
  std::string undisturbed(const std::string& sets) const {
    const Result result = run("launch -n 1 job.json checkpoint.directory=whole " + sets);
    EXPECT_EQ(result.exit, 0) << result.errors;
    return digest("whole");
  }
};

TEST_F(Hosts, AfterOneIsSwitchedOffTheOthersGoOnToTheSameBits) {
  ASSERT_EQ(run("train job.json --set checkpoint.directory=teacher --set model.n_layer=2 --set steps=10").exit, 0);
  write_job(R"(, "checkpoint": {"directory": "run", "every": 20, "keep": 2}, "zero_optimization": {"stage": 3},
    "distillation": {"teacher": "teacher"}, "compression_training": {"weight_quantization": {"shared_parameters":
    {"enabled": true}, "different_groups": {"all": {"params": {"start_bits": 8, "target_bits": 4}}}}})");
  const std::string sets = "steps=120 train_batch_size=12";  // 6 micro-batches
  const Result result = launch(sets, "steps 50; kill -9 $(cat node-c.pid)");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, AllOf(HasSubstr("host node-c is lost, and rank 2 with it"), HasSubstr("with 2 ranks in"),
                                   HasSubstr("3 ranks of"), HasSubstr("2 ranks of")));
  EXPECT_EQ(digest("run"), undisturbed(sets));
}

TEST_F(Hosts, OneThatIsCutOffIsNamedWithinSeconds) {
  const Result result = shell(
      "begin() { date +%s%N > cut; nsenter -t $(cat wire.pid) -n ip link set node-c down; }; "
      "steps() { until grep -q \"\\\"step\\\":$1,\" run/metrics.jsonl 2> /dev/null; do sleep 0.02; done; }; " +
      on_node_a("'" TRANCHE_PROGRAM
                "' launch --hostfile hosts --max-restarts 0 job.json steps=100000 train_batch_size=12") +
      " & launch=$!; steps 30; begin; wait $launch; code=$?; echo $((($(date +%s%N) - $(cat cut)) / 1000000000)); "
      "exit $code");
  EXPECT_EQ(result.exit, 9) << result.errors;
  EXPECT_THAT(result.errors, AllOf(HasSubstr("host node-c is lost, and rank 2 with it"), HasSubstr("gave up after 0")));
  EXPECT_LE(std::stoi(result.output), 25);
}

TEST_F(Hosts, ASlowWireCostsTimeAndNoBits) {
  ASSERT_EQ(shell("for h in node-a node-b node-c; do nsenter -t $(cat wire.pid) -n tc qdisc add dev $h root tbf "
                  "rate 20mbit burst 32kb latency 400ms || exit 1; done")
                .exit,
            0);
  const std::string sets = "steps=20 train_batch_size=12 zero_optimization.stage=3";
  const Result result = launch(sets, "true");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, Not(HasSubstr("going on from")));
  EXPECT_EQ(digest("run"), undisturbed(sets));
}

TEST_F(Hosts, AreAskedWhetherTheyHaveTheProgramBeforeAnythingStarts) {
  const std::string script = on_node_a("TRANCHE='" TRANCHE_PROGRAM "' '" TRANCHE_CLUSTER "/hosts.sh' ");
  folder.write("more", "10.77.0.2 slots=1\n10.77.0.9\n");
  const Result refused = shell(script + "more job.json");
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.errors, AllOf(HasSubstr("10.77.0.9: cannot be reached"), Not(HasSubstr("10.77.0.2:"))));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "run"));
  const Result result = shell(script + "hosts job.json train_batch_size=12");
  EXPECT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("3 ranks of"));
}

}  // namespace
}  // namespace tranche
