// A run's steps for TensorBoard, beside metrics.jsonl: DeepSpeed's keys, defaults and tags.
#pragma once

#include <filesystem>
#include <string>

#include "launcher/event_file.h"
#include "runtime/base/settings.h"
#include "runtime/train/metrics.h"

namespace tranche {

struct TensorBoardConfig {
  bool enabled = false;
  std::string output_path;                    // "": the directory in which the program is started
  std::string job_name = "DeepSpeedJobName";  // a folder in output_path

  void declare(Section& section);
  std::filesystem::path folder() const { return std::filesystem::path{output_path} / job_name; }
};

// Rank 0's, from one thread. Tags and their axis, as DeepSpeed has them, are in docs/launch.md.
class TensorBoard {
 public:
  // samples: that a step trains on. The axis counts them, not steps.
  TensorBoard(const TensorBoardConfig& config, std::size_t samples) : file_(config.folder()), samples_(samples) {}

  // Throws Exit::storage when the disk refuses.
  void add(const StepMetrics& metrics);

 private:
  EventFile file_;
  std::size_t samples_;
};

}  // namespace tranche
