// Jobs that `tranche launch` keeps running under mpirun, for tests of what happens to their ranks.
#pragma once

#include "tests/launcher/program.h"

namespace tranche {

class Launched : public TrainingProgram {
 protected:
  void SetUp() override {
    TrainingProgram::SetUp();
    write_job(R"(, "checkpoint": {"directory": "run", "every": 20, "keep": 2})");
  }
  // `tranche launch` of the job behind the scenes; then `then`, with $launch its process, `steps N` to wait until so
  // many are done, `rank I` for the process of one rank. Gives launch's exit code. program: in place of tranche.
  Result launch(const std::string& arguments, const std::string& then,
                const std::string& program = TRANCHE_PROGRAM) const {
    return shell(
        "steps() { until [ -e run/metrics.jsonl ] && [ $(wc -l < run/metrics.jsonl) -ge $1 ]; do sleep 0.02; "
        "done; }; "
        "children() { cat /proc/$1/task/*/children; }; "
        "rank() { children $(children $launch) | cut -d ' ' -f $(($1 + 1)); }; "
        "'" +
        program + "' launch --mpirun '" TRANCHE_MPIEXEC "' " + arguments + " job.json " + size + " & launch=$!; " +
        then + "; wait $launch");
  }
  std::string digest() const { return run("checkpoint digest run").output; }
  std::string undisturbed() const {
    static const std::string once = [&] {
      EXPECT_EQ(run("train job.json --set checkpoint.directory=whole " + sets).exit, 0);
      return run("checkpoint digest whole").output;
    }();
    return once;
  }

  const std::string size = "steps=400 train_batch_size=16 model.n_layer=4";
  const std::string sets = "--set steps=400 --set train_batch_size=16 --set model.n_layer=4";
};

}  // namespace tranche
