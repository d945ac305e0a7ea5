// metrics.jsonl in the run's directory: one line of JSON for each step, for people's own plots and tests.
//
//   {"step": 12, "loss": 2.337291, "learning_rate": 0.002, "gradient_norm": 0.81, "loss_scale": 65536.0,
//    "skipped": false, "tokens_per_second": 10240.5, "saving_seconds": 0.09, "peak_bytes": {"parameters": 81920, ...},
//    "communicated_bytes": {"all_gather": 4096, ...}}
//
// With "host_peak_bytes" where something of the job lies in host memory, or passes through it to a GPU.
// Steps count from 1: line 12 says what the twelfth step gave. Numbers read back as exactly the doubles that they were;
// one that is not finite, which JSON has no way to write, is "nan", "inf" or "-inf", a string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/file.h"

namespace tranche {

struct StepMetrics {
  std::uint64_t step = 0;  // 1 for the first
  double loss = 0, learning_rate = 0, gradient_norm = 0, loss_scale = 1;
  bool skipped = false;
  double tokens_per_second = 0;
  double saving_seconds = 0;  // that training waited for a checkpoint since the line before
  std::vector<std::pair<std::string, std::size_t>> peak_bytes{};          // by category, of this rank
  std::vector<std::pair<std::string, std::size_t>> host_peak_bytes{};     // the same of host memory; empty: not used
  std::vector<std::pair<std::string, std::size_t>> communicated_bytes{};  // by operation, in this step, of this rank
};

// The line, without a line break.
std::string json_line(const StepMetrics& metrics);

// The step of a file's last whole line: what a run has come to, also one that is under way. 0 if it has none, or is not
// there.
std::uint64_t last_step(const std::filesystem::path& file);

// Rank 0's, from one thread. Throws Exit::storage when the disk refuses.
class MetricsFile {
 public:
  // Goes on behind step `step`: lines of later steps, which a killed run had written, are dropped, and so is a line
  // that is torn. 0 begins anew. Nothing is touched, and no folder made, before the first line.
  MetricsFile(std::filesystem::path path, std::uint64_t step) : path_(std::move(path)), step_(step) {}

  // The line is in the file when this returns, though not yet durable.
  void add(const StepMetrics& metrics);

 private:
  std::filesystem::path path_;
  std::uint64_t step_;
  std::optional<File> file_;
  std::uint64_t size_ = 0;  // bytes
};

}  // namespace tranche
