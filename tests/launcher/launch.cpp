// `tranche launch` without MPI: the command it starts, when it starts again, and on how many ranks. What stands in for
// mpirun is a script that notes how it was called and ends as it is told.
#include <gmock/gmock.h>

#include <csignal>

#include "launcher/supervisor/hosts.h"
#include "launcher/supervisor/restarts.h"
#include "launcher/supervisor/start_line.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string message(const std::function<void()>& work, Exit exit) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), exit);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(Hosts, AreReadFromAHostfile) {
  const testing::TemporaryFolder folder;
  const auto file = folder.write("hosts", "# two machines\nnode-a slots=4\n\nnode-b.local  # one\nnode-a slots=2\n");
  const std::vector<Host> hosts = read_hosts(file);
  EXPECT_THAT(hosts, ElementsAre(Host{"node-a", 6}, Host{"node-b.local", 1}));
  EXPECT_EQ(slots_of(hosts), 7u);
}

TEST(Hosts, AFileThatIsNoneSaysWhere) {
  const testing::TemporaryFolder folder;
  const auto refusal = [&](const std::string& text) {
    return message([&] { read_hosts(folder.write("hosts", text)); }, Exit::usage);
  };
  EXPECT_THAT(refusal("a slots=4\nb slots=four\n"), HasSubstr("hosts:2: expected a host's name and slots=N"));
  for (const char* bad : {"a slots=0", "a slots=-1", "a slots=99999999999999999999", "a slots=4x", "a max_slots=4"})
    EXPECT_THAT(refusal(bad), HasSubstr("hosts:1: expected")) << bad;
  EXPECT_THAT(refusal("a slots=1 more"), HasSubstr("\"more\" behind slots=N"));
  for (const char* bad : {"--mca", "a,b", "a:3", "^a"})
    EXPECT_THAT(refusal(bad), HasSubstr("is no host's name")) << bad;
  EXPECT_THAT(refusal("# nobody\n"), HasSubstr("names no host"));
  EXPECT_THAT(message([&] { read_hosts(folder.path() / "missing"); }, Exit::usage), HasSubstr("cannot be read"));
}

TEST(Hosts, AreLeftOutOnceTheyAreLost) {
  const std::vector<Host> hosts{{"a.cluster", 4}, {"ab", 2}};
  EXPECT_THAT(without_host(hosts, {"a"}), ElementsAre(Host{"ab", 2}));
  EXPECT_THAT(without_host(hosts, {"ab.cluster"}), ElementsAre(Host{"a.cluster", 4}));
  EXPECT_EQ(without_host(hosts, {"b"}), hosts);
  EXPECT_THAT(without_host({{"a", 1}}, {"a"}), ElementsAre(Host{"a", 1}));
}

TEST(Hosts, AreTheMachinesThatHaveTheirAddresses) {
  const std::vector<Host> hosts{{"10.0.0.1", 1}, {"10.0.0.11", 1}};
  EXPECT_THAT(without_host(hosts, {"a", {"192.168.0.1", "10.0.0.1"}}), ElementsAre(Host{"10.0.0.11", 1}));
  EXPECT_EQ(without_host(hosts, {"10"}), hosts);  // no part of an address is a name
  const Machine here = this_machine();
  EXPECT_FALSE(here.name.empty());
  EXPECT_TRUE(means(here.name, here));
  EXPECT_THAT(here.addresses, ::testing::Each(Not(::testing::StartsWith("127."))));
  for (const std::string& address : here.addresses) EXPECT_TRUE(means(address, here)) << address;
  EXPECT_EQ(address_towards({here.name}), here.name);  // nobody else has to find it
  EXPECT_EQ(address_towards({"localhost", "127.0.0.1"}), here.name);
}

TEST(Hosts, FromWhichNoRankCameAreLeftOutIfTheyWereToRunSome) {
  const std::vector<Host> hosts{{"a", 2}, {"b", 2}, {"c", 2}};
  EXPECT_THAT(without_absent(hosts, 4, {{"a"}}), ElementsAre(Host{"a", 2}, Host{"c", 2}));  // nobody was sent to c
  EXPECT_THAT(without_absent(hosts, 6, {{"a"}, {"c"}}), ElementsAre(Host{"a", 2}, Host{"c", 2}));
  EXPECT_EQ(without_absent(hosts, 6, {}), hosts);
}

TEST(StartLine, HoldsAllThatRanksNeed) {
  Place place;
  place.hosts = {{"a", 4}, {"b", 2}};
  place.passed = {"OMP_NUM_THREADS=3"};
  const std::string line = shell_line(start_line(place, 6, {"tranche", "train", "job.json"}));
  EXPECT_THAT(line, AllOf(HasSubstr("mpirun -np 6 --host a:4,b:2 --oversubscribe --bind-to none"),
                          HasSubstr("--mca mpi_yield_when_idle 1"), HasSubstr("--mca oob_tcp_keepalive_time 2"),
                          HasSubstr("-x OMP_NUM_THREADS=3 tranche train job.json"), Not(HasSubstr("root"))));
  place.root = true;
  EXPECT_THAT(start_line(place, 6, {}), ::testing::Contains("--allow-run-as-root"));
  const Place slurm{.starter = Starter::srun, .program = "srun", .hosts = {}, .passed = {}, .cores_of_each = 8};
  EXPECT_EQ(shell_line(start_line(slurm, 2, {"tranche"})),
            "srun --mpi=pmix --ntasks=2 --kill-on-bad-exit=1 --cpus-per-task=8 tranche");
}

TEST(StartLine, IsQuotedForAShell) {
  EXPECT_EQ(shell_line({"a b", "", "it's", "$x", "plain=/x.y"}), R"('a b' '' 'it'\''s' '$x' plain=/x.y)");
}

TEST(Restarts, GoOnWithTheMostRanksThatDivideTheStep) {
  EXPECT_EQ(ranks_for(3, 8), 2u);
  EXPECT_EQ(ranks_for(4, 8), 4u);
  EXPECT_EQ(ranks_for(7, 12), 6u);
  EXPECT_EQ(ranks_for(5, 7), 1u);
  EXPECT_EQ(ranks_for(9, 3), 3u);
  EXPECT_EQ(ranks_for(0, 8), 1u);
}

TEST(Restarts, EndWhenTheyBringNothingAndWaitLongerEachTime) {
  using std::chrono::seconds;
  Restarts restarts{3, {.saved = 10, .told = 15}};
  EXPECT_EQ(restarts.next({10, 15}), seconds{1});
  EXPECT_EQ(restarts.next({10, 12}), seconds{2});  // steps that were lost and done again are no progress
  EXPECT_EQ(restarts.next({20, 12}), seconds{1});  // a newer checkpoint is
  EXPECT_EQ(restarts.next({20, 16}), seconds{1});  // and so is a step that nobody came to before
  EXPECT_EQ(restarts.next({20, 16}), seconds{2});
  EXPECT_EQ(restarts.next({20, 16}), seconds{4});
  EXPECT_EQ(restarts.next({20, 16}), std::nullopt);
  EXPECT_EQ(restarts.in_vain(), 3u);
  EXPECT_EQ((Restarts{0, {}}.next({5, 5})), std::nullopt);
  Restarts patient{100, {}};
  for (int i = 0; i < 50; ++i) patient.next({});
  EXPECT_EQ(patient.next({}), seconds{60});
}

TEST(Restarts, DependOnHowTheRanksEnded) {
  const auto exited = [](int code) { return ending_of(code << 8).end; };
  EXPECT_EQ(exited(0), End::finished);
  EXPECT_EQ(exited(75), End::stopped);
  for (const int code : {1, 2, 3, 4, 5, 6, 7, 8, 10, 127}) EXPECT_EQ(exited(code), End::refused) << code;
  for (const int code : {9, 134, 137, 139, 205}) EXPECT_EQ(exited(code), End::lost) << code;
  EXPECT_EQ(exited(13), End::spoiled);
  EXPECT_EQ(ending_of(13 << 8).lost, 0u);  // every place is as good as before
  EXPECT_THAT(ending_of(137 << 8).text, HasSubstr("signal 9 (Killed)"));
  EXPECT_EQ(ending_of(SIGKILL).end, End::lost);  // mpirun itself
  EXPECT_EQ(ending_of(SIGKILL).code, 137);
}

TEST(Restarts, KnowHowFarARunHasCome) {
  const testing::TemporaryFolder folder;
  EXPECT_EQ(reached_in(folder.path()).told, 0u);
  folder.write("metrics.jsonl", "{\"step\": 41, \"loss\": 1}\n{\"step\": 42, \"loss\": 1}\n{\"step\": 43, \"lo");
  EXPECT_EQ(reached_in(folder.path()).told, 42u);
  folder.write("metrics.jsonl", "no JSON\n\n");
  EXPECT_EQ(reached_in(folder.path()).told, 0u);
  EXPECT_EQ(reached_in(folder.path()).saved, 0u);
}

class Launch : public Program {
 protected:
  void SetUp() override { write_job(); }
  // Runs with a script in mpirun's place; $call is how often it was called.
  Result launch(const std::string& arguments, const std::string& script) const {
    folder.write("mpirun", "#!/bin/sh\necho \"$@\" >> calls\ncall=$(wc -l < calls)\n" + script + "\n");
    return shell("chmod +x mpirun; '" TRANCHE_PROGRAM "' launch --mpirun ./mpirun " + arguments);
  }
  std::vector<std::string> calls() const {
    std::ifstream stream{folder.path() / "calls"};
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
};

TEST_F(Launch, PrintsALineThatCanBePasted) {
  const Result result = run("launch -n 2 --mpirun 'my mpirun' --print job.json steps=7 seed=3 --set steps=5");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.output, AllOf(HasSubstr("'my mpirun' -np 2 "), HasSubstr(" train job.json --set "),
                                   HasSubstr("--set steps=7 --set seed=3\n"), Not(HasSubstr("--resume"))));
  EXPECT_THAT(run("launch -n 2 --resume --print job.json").output, HasSubstr("--resume\n"));
}

TEST_F(Launch, SaysWhatIsWrongBeforeAnythingIsStarted) {
  EXPECT_EQ(launch("job.json", "exit 0").exit, 2);
  EXPECT_EQ(launch("-n 3 job.json", "exit 0").exit, 3);
  EXPECT_EQ(launch("-n 2 job.json step=3", "exit 0").exit, 3);
  EXPECT_EQ(launch("--hostfile nowhere job.json", "exit 0").exit, 2);
  EXPECT_THAT(calls(), ElementsAre());
  const Result missing = run("launch -n 2 --mpirun ./nowhere job.json");
  EXPECT_EQ(missing.exit, 2);
  EXPECT_THAT(missing.errors, HasSubstr("./nowhere cannot be started: No such file"));
}

TEST_F(Launch, StartsAgainOnFewerRanksAndGoesOn) {
  const Result result = launch("-n 4 job.json --set train_batch_size=16", "[ $call = 2 ] || exit 137");
  ASSERT_EQ(result.exit, 0) << result.errors;
  ASSERT_EQ(calls().size(), 2u);
  EXPECT_THAT(calls()[0], AllOf(HasSubstr("-np 4 "), Not(HasSubstr("--resume"))));
  EXPECT_THAT(calls()[1], AllOf(HasSubstr("-np 2 "), HasSubstr("--resume")));  // 3 do not divide 8 micro-batches
  EXPECT_THAT(result.errors, HasSubstr("a rank was killed by signal 9 (Killed); going on from the start with 2 ranks"));
}

TEST_F(Launch, RefillsPlacesWhenTold) {
  ASSERT_EQ(launch("-n 2 --refill job.json", "[ $call = 2 ] || exit 9").exit, 0);
  EXPECT_THAT(calls()[1], HasSubstr("-np 2 "));
}

TEST_F(Launch, KeepsTheStepThatTheFirstStartMade) {
  folder.write("job.json", R"({
  "model": {"model_type": "gpt2", "n_layer": 1, "n_head": 2, "n_embd": 32, "n_positions": 64, "vocab_size": 256},
  "data": {"train": "train.h5", "sequence_length": 32}, "steps": 2, "gradient_accumulation_steps": 2,
  "train_micro_batch_size_per_gpu": 3, "optimizer": {"type": "AdamW", "params": {"lr": 1e-3}}})");
  ASSERT_EQ(launch("-n 4 job.json", "[ $call = 2 ] || exit 137").exit, 0);
  for (const std::string& call : calls())
    EXPECT_THAT(call, HasSubstr("--set train_batch_size=24 --set train_micro_batch_size_per_gpu=3 --set "
                                "gradient_accumulation_steps=null"));
}

TEST_F(Launch, DoesNotRepeatWhatWouldFailAgain) {
  for (const int code : {3, 7, 8, 75}) {
    std::filesystem::remove(folder.path() / "calls");
    EXPECT_EQ(launch("-n 2 job.json", str("exit ", code)).exit, code);
    EXPECT_EQ(calls().size(), 1u) << code;
  }
  EXPECT_EQ(launch("-n 2 job.json", "exit 200").exit, 1);
}

TEST_F(Launch, GoesOnWhenAHostIsLost) {
  folder.write("hosts", "localhost slots=1\nelsewhere slots=1\n");
  // What ranks would say comes from nobody here, so mpirun's code alone costs one place and no host.
  ASSERT_EQ(launch("--hostfile hosts job.json", "[ $call = 2 ] || exit 205").exit, 0);
  EXPECT_THAT(calls()[1], HasSubstr("-np 1 "));
}

TEST_F(Launch, GivesUpWhenRestartsBringNothing) {
  const Result result = launch("-n 2 --max-restarts 1 job.json", "kill -9 $$");
  EXPECT_EQ(result.exit, 9);
  EXPECT_EQ(calls().size(), 2u);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("was itself killed by signal 9"), HasSubstr("gave up after 1 restart")));
}

TEST_F(Launch, LeavesNoProcessBehind) {
  const Result result = launch("-n 2 --max-restarts 0 job.json", "sleep 987654 & echo $! > left; kill -9 $$");
  EXPECT_EQ(result.exit, 9);
  EXPECT_NE(shell("kill -0 $(cat left)").exit, 0);
}

TEST_F(Launch, HandsSignalsOnAndDoesNotStartAgain) {
  const Result result =
      launch("-n 2 job.json & pid=$!; until [ -e ready ]; do sleep 0.02; done; kill -INT $pid; wait $pid",
             "trap 'kill $!; exit 137' USR1; sleep 60 & touch ready; wait");
  EXPECT_EQ(result.exit, 75) << result.errors;
  EXPECT_EQ(calls().size(), 1u);
}

TEST_F(Launch, ShowsAPageToOtherMachinesThatHaveItsToken) {
  const Result result = launch("-n 1 --port 0 --bind 0.0.0.0 job.json",
                               "cp runs/job/page-token seen; stat -c %a seen runs/job/page-token > modes; "
                               "cat /proc/$PPID/cmdline /proc/$PPID/environ /proc/self/environ > told");
  ASSERT_EQ(result.exit, 0) << result.errors;
  const std::string token = shell("cat seen").output;
  ASSERT_EQ(token.size(), 64u);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("/?token=$(cat runs/job/page-token)\n"),
                                   HasSubstr("this page is not encrypted"), HasSubstr("without --bind, ssh -L ")));
  EXPECT_EQ(shell("tail -1 modes").output, "600\n");
  EXPECT_EQ(result.errors.find(token), result.errors.npos) << "others may read what a job says";
  EXPECT_EQ(shell("grep -rlaF " + token + " told calls runs").output, "");  // the file with it has gone
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "runs/job/page-token"));
}

TEST_F(Launch, SaysWhichAddressesAPageCanHave) {
  const auto refusal = [&](const std::string& arguments) {
    const Result result = launch(arguments + " -n 1 job.json", "exit 0");
    EXPECT_EQ(result.exit, 2) << arguments;
    return result.errors;
  };
  EXPECT_THAT(refusal("--bind 0.0.0.0"), HasSubstr("--bind requires --port"));
  EXPECT_THAT(refusal("--port 0 --bind node-a"), HasSubstr("'node-a' is no address: those are like"));
  EXPECT_THAT(refusal("--port 0 --bind 203.0.113.77"), HasSubstr("is no address of this machine: give one of"));
  EXPECT_THAT(calls(), ElementsAre());
}

}  // namespace
}  // namespace tranche
