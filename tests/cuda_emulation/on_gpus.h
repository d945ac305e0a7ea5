// Runs the program itself on emulated GPUs under mpirun, with a plugin of the product's sources (docs/cuda.md).
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "launcher/plan.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "tests/support/small_job.h"

namespace tranche::testing {

inline constexpr std::size_t steps = 3, micro_batches = 4;

// How a run is arranged, and in which order its streams run.
struct OnGpus {
  Arrangement arrangement;
  const char* streams = "eager";
  std::vector<std::string> more{};  // --set
  std::string environment{};
};

class OnEmulatedGpus : public ::testing::Test {
 protected:
  explicit OnEmulatedGpus(Numbers numbers = Numbers::float32) : numbers_(numbers) {}

  // In float16 some steps overflow, and some do not.
  SmallJob job() const {
    SmallJob job{.numbers = numbers_, .micro_batches = micro_batches, .changes = changes_};
    if (numbers_ == Numbers::float16) job.changes.emplace_back("fp16.initial_scale_power=20");
    return job;
  }

  int program(const std::string& command) const {
    return std::system(str("LD_LIBRARY_PATH=" TRANCHE_EMULATED " TRANCHE_CUDA_PLUGIN=" TRANCHE_EMULATED
                           "/libtranche_cuda.so ",
                           command)
                           .c_str());
  }
  std::vector<std::string> settings(const OnGpus& run) const {
    std::vector<std::string> all = run_.overrides(run.arrangement);
    for (const std::vector<std::string>& more : {job().changes, run.more})
      all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  // Trains in `directory`, from its newest checkpoint if there is one; the digest.
  std::string digest_after(const OnGpus& run, const std::string& directory, std::size_t until = steps) {
    const std::string log = (run_.folder() / (directory + ".log")).string();
    std::string command = str(run.environment, " TRANCHE_STREAM_ORDER=", run.streams, " mpirun -np ",
                              run.arrangement.ranks, " " TRANCHE_PROGRAM " train ",
                              run_.write_job(job(), directory).string(), " --device cuda --resume --set steps=", until);
    for (const std::string& each : settings(run)) command += str(" --set '", each, "'");
    EXPECT_EQ(program(command + " 2> " + log), 0) << read_small_file(log);
    return checkpoint::digest(checkpoint::resolve(run_.folder() / directory));
  }
  std::vector<Json> metrics(const std::string& directory) const {
    std::ifstream stream{run_.folder() / directory / "metrics.jsonl"};
    std::vector<Json> all;
    for (std::string line; std::getline(stream, line);)
      all.push_back(parse_json(line, "metrics.jsonl", Exit::internal));
    return all;
  }
  std::vector<double> losses(const std::string& directory) const {
    std::vector<double> all;
    for (const Json& step : metrics(directory)) all.push_back(step["loss"].get<double>());
    return all;
  }
  // What a run in `directory` measured, of the GPU and of the host's memory, through which a batch, the norm's partial
  // sums and what is offloaded pass.
  void expect_measured_as_planned(const OnGpus& run, const std::string& directory) {
    std::vector<std::string> changes = settings(run);
    changes.emplace_back("device.type=cuda");
    Job planned{read_job(run_.folder() / (directory + ".json"), changes)};
    planned.settle(run.arrangement.ranks);
    const Json line = metrics(directory).back();
    const Plan plan = make_plan(planned, run.arrangement.ranks);
    ASSERT_EQ(plan.memories.size(), 2u);
    for (std::size_t c = 0; c < category_count; ++c) {
      const std::string name{name_of(static_cast<Category>(c))};
      EXPECT_EQ(line["peak_bytes"][name].get<std::size_t>(), plan.device().peaks[c]) << name << " of " << directory;
      EXPECT_EQ(line["host_peak_bytes"][name].get<std::size_t>(), plan.memories[1].peaks[c])
          << name << " of the host, " << directory;
    }
  }
  // What training on two ranks, with `environment`, ends with and says.
  std::pair<int, std::string> training_with(const std::string& environment) {
    const std::string log = (run_.folder() / "ended.log").string();
    const int status =
        program(str(environment, " mpirun -np 2 " TRANCHE_PROGRAM " train ", run_.write_job(job(), "ended").string(),
                    " --device cuda --set zero_optimization.stage=3 --set steps=", steps, " 2> ", log));
    return {WEXITSTATUS(status), read_small_file(log)};
  }
  // What `tranche ARGUMENTS` prints.
  std::string printed_by(const std::string& arguments) const {
    const std::string file = (run_.folder() / "printed.txt").string();
    EXPECT_EQ(program(str(TRANCHE_PROGRAM " ", arguments, " > ", file)), 0) << arguments;
    return read_small_file(file);
  }

  Numbers numbers_;
  std::vector<std::string> changes_;  // of the job, as --set takes them
  SmallRun run_;
};

}  // namespace tranche::testing
