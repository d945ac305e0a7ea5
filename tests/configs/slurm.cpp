// configs/cluster/slurm.sbatch under Slurm itself: a controller and three nodes, all on this machine.
#include <gmock/gmock.h>

#include <cstdlib>

#include "runtime/base/random.h"
#include "tests/launcher/daemons.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Jobs of the partition "urgent" take the nodes from those of "whenever", which have a minute to stop.
constexpr const char* configuration = R"(ClusterName=tranche
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
ReturnToService=2
MailProg=/bin/true
)";

class Slurm : public TrainingProgram {
 protected:
  void SetUp() override {
    TrainingProgram::SetUp();
    write_job(R"(, "checkpoint": {"directory": "run", "every": 50, "keep": 2})");
    const std::filesystem::path here = folder.path();
    // munged wants its socket where everybody can come, and its key where nobody can.
    std::filesystem::permissions(here, std::filesystem::perms{0755});
    std::filesystem::permissions(folder.write("key", new_key()), std::filesystem::perms{0400});
    const std::string socket = (here / "munge").string();
    daemons.start(here / "munged.log",
                  {"munged", "--foreground", "--num-threads=2", str("--key-file=", (here / "key").string()),
                   str("--socket=", socket), str("--pid-file=", (here / "munged.pid").string()),
                   str("--seed-file=", (here / "munged.seed").string())});
    const std::string host = shell("hostname").output;
    std::string text = str(configuration, "SlurmctldHost=", host.substr(0, host.find('\n')),
                           "(127.0.0.1)\nSlurmctldPort=", testing::free_port(), "\nAuthInfo=socket=", socket,
                           ",cred_expire=5\nStateSaveLocation=", (here / "state").string(),
                           "\nSlurmctldPidFile=", (here / "slurmctld.pid").string(), "\n");
    for (const char* what : {"SlurmdSpoolDir=spool-%n", "TmpFS=spool-%n", "SlurmdPidFile=slurmd-%n.pid"}) {
      const std::string line = what;
      const std::size_t value = line.find('=') + 1;
      text += str(line.substr(0, value), (here / line.substr(value)).string(), "\n");
    }
    for (const char* node : {"n0", "n1", "n2"}) {
      std::filesystem::create_directory(here / str("spool-", node));
      text += str("NodeName=", node, " NodeHostname=", host.substr(0, host.find('\n')),
                  " NodeAddr=127.0.0.1 CPUs=2 Port=", testing::free_port(), "\n");
    }
    text +=
        "PartitionName=whenever Nodes=ALL Default=YES PriorityTier=1 GraceTime=60\n"
        "PartitionName=urgent Nodes=ALL PriorityTier=9 PreemptMode=off\n";
    const std::string file = folder.write("slurm.conf", text).string();
    ::setenv("SLURM_CONF", file.c_str(), 1);
    ASSERT_EQ(shell(until("[ -S munge ]")).exit, 0);
    daemons.start(here / "slurmctld.log", {"slurmctld", "-D", "-c", "-f", file});
    for (const char* node : {"n0", "n1", "n2"})
      daemons.start(here / "slurmd.log", {"slurmd", "-D", "-N", node, "-f", file});
    ASSERT_EQ(shell(until("[ \"$(sinfo -h -p urgent -o %D%t)\" = 3idle ]")).exit, 0) << shell("sinfo -Nl").output;
  }

  static std::string new_key() {
    const RandomKey key{static_cast<std::uint64_t>(::getpid()), Purpose::order};
    std::string bytes;
    for (std::uint64_t i = 0; i < 128; ++i) bytes += static_cast<char>(key.number(i));
    return bytes;
  }
  // A command that waits until a shell's condition holds, at most half a minute.
  static std::string until(const std::string& condition) {
    return "for i in $(seq 300); do { " + condition + "; } 2>/dev/null && break; sleep 0.1; done; " + condition;
  }
  static std::string done(int steps) {
    return until("grep -q '\"step\":" + std::to_string(steps) + ",' run/metrics.jsonl");
  }
  std::string state(const std::string& job) const {
    return shell("scontrol -o show job " + job + " | grep -oE '(JobState|Restarts|ExitCode)=[^ ]*' | tr '\\n' ' '")
        .output;
  }

  testing::Daemons daemons;
};

TEST_F(Slurm, AJobThatIsSignalledAndOneThatIsPreemptedGoOnToTheSameBits) {
  const std::string sets = " steps=250 train_batch_size=16 model.n_layer=4 zero_optimization.stage=3";
  ASSERT_EQ(run("launch -n 1 job.json checkpoint.directory=whole" + sets).exit, 0);
  const Result submitted =
      shell("TRANCHE='" TRANCHE_PROGRAM "' TRANCHE_CLUSTER='" TRANCHE_CLUSTER
            "' sbatch --parsable --nodes=2 --ntasks-per-node=1 --cpus-per-task=1 --output=log '" TRANCHE_CLUSTER
            "/slurm.sbatch' job.json" +
            sets);
  ASSERT_EQ(submitted.exit, 0) << submitted.errors;
  const std::string job = submitted.output.substr(0, submitted.output.find('\n'));
  const auto told = [&] { return state(job) + shell("cat log slurmctld.log").output; };

  ASSERT_EQ(shell(done(40) + " && scancel --signal=TERM " + job).exit, 0) << told();
  ASSERT_EQ(shell(until("grep -q 'which is saved' log")).exit, 0) << told();
  // Once it is back, a job that matters more takes all nodes from it.
  ASSERT_EQ(shell(until("[ $(grep -c 'ZeRO stage 3, 2 ranks' log) = 2 ]")).exit, 0) << told();
  ASSERT_EQ(shell("srun --partition=urgent --nodes=3 --exclusive --quiet true").exit, 0) << told();
  ASSERT_EQ(shell(until("[ $(grep -c 'which is saved' log) = 2 ]")).exit, 0) << told();
  ASSERT_EQ(shell(until("scontrol -o show job " + job + " | grep -qE 'JobState=(COMPLETED|FAILED|CANCELLED)'")).exit, 0)
      << told();
  EXPECT_THAT(state(job), AllOf(HasSubstr("JobState=COMPLETED"), HasSubstr("Restarts=2"), HasSubstr("ExitCode=0:0")))
      << told();
  const Result whole = run("checkpoint digest whole");
  ASSERT_EQ(whole.exit, 0);
  EXPECT_EQ(run("checkpoint digest run").output, whole.output);
}

}  // namespace
}  // namespace tranche
