// Three hosts on one machine: each has its own network, name and processes, and an sshd. A wire connects them.
#pragma once

#include <string>

#include "tests/launcher/daemons.h"
#include "tests/launcher/program.h"

namespace tranche {

// node-a, node-b and node-c are 10.77.0.1 to .3 and know each other by these addresses alone. They see the same files.
// Everything ends with the test, and nothing of this machine's own network is touched.
class ThreeHosts : public TrainingProgram {
 protected:
  void SetUp() override {
    TrainingProgram::SetUp();
    const std::string here = folder.path().string();
    std::filesystem::create_directory("/run/sshd");  // where sshd wants to be when it talks to strangers
    ASSERT_EQ(shell("ssh-keygen -q -t ed25519 -N '' -f key").exit, 0);
    folder.write("sshd", str("HostKey ", here, "/key\nAuthorizedKeysFile ", here,
                             "/key.pub\nPidFile none\nUsePAM no\nStrictModes no\nLogLevel QUIET\n"
                             "PermitRootLogin prohibit-password\n"));
    folder.write("agent", str("#!/bin/sh\nexec ssh -F none -i ", here,
                              "/key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
                              "-o LogLevel=ERROR -o ConnectTimeout=5 \"$@\"\n"));
    folder.write("hosts", "10.77.0.1 slots=1\n10.77.0.2 slots=1\n10.77.0.3 slots=1\n");
    start("wire", "exec sleep 1000");
    for (const char* node : {"node-a", "node-b", "node-c"})
      start(node, "exec /usr/sbin/sshd -D -e -f " + here + "/sshd");
    const Result wired = shell(
        "chmod +x agent; "
        "for h in wire node-a node-b node-c; do until [ -s $h.up ]; do sleep 0.05; done; done; "
        "wire() { nsenter -t $(cat wire.pid) -n ip \"$@\"; }; "
        "wire link add wire type bridge && wire link set wire up && "
        "for i in 1 2 3; do h=node-$(echo $i | tr 123 abc); p=$(cat $h.pid); "
        "wire link add $h type veth peer name eth0 netns $p && wire link set $h master wire up && "
        "nsenter -t $p -n ip addr add 10.77.0.$i/24 dev eth0 && nsenter -t $p -n ip link set eth0 up || exit 1; done; "
        "for i in 2 3; do until " +
        on_node_a("./agent 10.77.0.$i true") + "; do sleep 0.2; done; done");
    ASSERT_EQ(wired.exit, 0) << wired.errors;
  }

  // As node-a would be told to run it.
  static std::string on_node_a(const std::string& command) {
    return "nsenter -t $(cat node-a.pid) --net --uts env OMPI_MCA_plm_rsh_agent=$PWD/agent " + command;
  }
  // Runs `tranche launch` on node-a over the hosts; then `then`, with `steps N` to wait until so many are done. Gives
  // launch's exit code.
  Result launch(const std::string& arguments, const std::string& then) const {
    return shell(
        "steps() { until grep -q \"\\\"step\\\":$1,\" run/metrics.jsonl 2> /dev/null; do sleep 0.02; done; }; " +
        on_node_a("'" TRANCHE_PROGRAM "' launch --hostfile hosts job.json " + arguments) + " & launch=$!; " + then +
        "; wait $launch");
  }

 private:
  // A namespace of its own for everything but files, named in NAME.pid by a process whose end is that of all others in
  // it.
  void start(const std::string& name, const std::string& runs) {
    const std::string here = folder.path().string();
    hosts_.start(folder.path() / "hosts.log",
                 {"sh", "-c",
                  "cd " + here + "; echo $$ > " + name +
                      ".pid; exec unshare --net --uts --pid --fork --kill-child --mount-proc sh -c 'hostname " + name +
                      " && ip link set lo up && echo up > " + name + ".up && " + runs + "'"});
  }

  testing::Daemons hosts_;
};

}  // namespace tranche
