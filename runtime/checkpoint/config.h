// What a job file says about checkpoints ("checkpoint").
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace tranche {

class Section;

struct CheckpointConfig {
  std::optional<std::string> directory{};   // of the run: checkpoints, metrics.jsonl
  std::size_t every = 0;                    // steps; 0: at the end and when stopped
  std::size_t keep = 0;                     // the newest so many; 0: all
  std::optional<std::string> start_from{};  // another run's directory, whose parameters a new run begins with
  bool asynchronous = false;                // written beside the steps, from a copy in host memory

  void declare(Section& checkpoint);
};

}  // namespace tranche
