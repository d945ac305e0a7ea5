// Runs the built program in a folder of its own.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "runtime/base/json.h"
#include "tests/support/temporary_folder.h"

namespace tranche {

struct Result {
  int exit = -1;
  std::string output, errors;
};

class Program : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder;

  // Runs `tranche ARGUMENTS` in the folder.
  Result run(const std::string& arguments) const { return shell("'" TRANCHE_PROGRAM "' " + arguments); }
  // Runs a shell's command line in the folder.
  Result shell(const std::string& line) const {
    const std::string errors = (folder.path() / "errors.txt").string();
    const std::string command = "cd '" + folder.path().string() + "' && { " + line + "; } 2>errors.txt";
    Result result;
    FILE* pipe = ::popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
      result.output.append(buffer.data(), n);
    result.exit = WEXITSTATUS(::pclose(pipe));
    std::ifstream stream{errors};
    result.errors.assign(std::istreambuf_iterator<char>{stream}, {});
    std::filesystem::remove(errors);
    return result;
  }
  std::size_t files() const {
    const std::filesystem::recursive_directory_iterator all{folder.path()};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }
  void write_job(const std::string& more = "") const {
    folder.write("job.json", R"({
  "model": {"model_type": "gpt2", "n_layer": 1, "n_head": 2, "n_embd": 32, "n_positions": 64, "vocab_size": 256},
  "data": {"train": "train.h5", "sequence_length": 32},
  "steps": 2, "train_batch_size": 4, "train_micro_batch_size_per_gpu": 2,
  "optimizer": {"type": "AdamW", "params": {"lr": 1e-3}})" +
                                 more + "}");
  }
};

// With a text, its tokens and a job that trains on them.
class TrainingProgram : public Program {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 400; ++i) text += "In the beginning was the word. ";
    folder.write("text.txt", text);
    ASSERT_EQ(run("tokenize --tokenizer byte --output train.h5 text.txt").exit, 0);
    write_job();
  }
  // Starts a long job of 2 ranks with a page, in the background, and waits until that step is done. The page's address;
  // the number of the process is in the file `process`.
  std::string launch_with_page(int step) const {
    const Result started =
        shell(str("'" TRANCHE_PROGRAM "' launch -n 2 --port 0 job.json steps=100000 > log 2>&1 & echo $! > process; "
                  "for i in $(seq 300); do grep -q '\"step\":",
                  step,
                  ",' runs/job/metrics.jsonl 2> /dev/null && break; sleep 0.1; done; "
                  "sed -n 's/.*\\(http:[^ ]*\\).*/\\1/p' log | head -1"));
    EXPECT_TRUE(started.output.starts_with("http://127.0.0.1:")) << started.output << started.errors;
    return started.output.substr(0, started.output.find('\n'));
  }
  // Lines of the run's metrics.jsonl.
  std::vector<Json> metrics() const {
    std::ifstream stream{folder.path() / "runs/job/metrics.jsonl"};
    std::vector<Json> lines;
    for (std::string line; std::getline(stream, line);)
      lines.push_back(parse_json(line, "metrics.jsonl", Exit::internal));
    return lines;
  }
};

}  // namespace tranche
