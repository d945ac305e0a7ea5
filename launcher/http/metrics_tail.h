// metrics.jsonl while it is written, line by line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tranche {

// Of one file, from its last `history` bytes on. A run that is started again takes lines away and writes others.
class MetricsTail {
 public:
  explicit MetricsTail(std::filesystem::path file, std::uint64_t history = std::uint64_t{4} << 20)
      : path_(std::move(file)), history_(history) {}

  struct News {
    bool reset = false;              // forget what came before: the file does not hold it any more
    std::vector<std::string> lines;  // whole ones, without line breaks
  };
  // What has been added since the last call, at most a few megabytes. A file that is not there is empty.
  News poll();

 private:
  std::filesystem::path path_;
  std::uint64_t history_, next_ = 0;  // next_: where the next line begins
  std::string last_;                  // the line before it, with its break
};

}  // namespace tranche
