#include "runtime/train/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "runtime/base/json.h"
#include "tests/support/temporary_folder.h"

namespace tranche {
namespace {

using ::testing::ElementsAre;

Json parsed(const std::string& line) { return parse_json(line, "metrics", Exit::internal); }

class Metrics : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "run" / "metrics.jsonl";

  void write(std::uint64_t behind, std::uint64_t until, double loss) const {
    MetricsFile file{path, behind};
    for (std::uint64_t step = behind + 1; step <= until; ++step) {
      StepMetrics metrics;
      metrics.step = step;
      metrics.loss = loss;
      file.add(metrics);
    }
  }
  std::vector<double> losses() const {
    std::ifstream stream{path};
    std::vector<double> values;
    std::size_t step = 0;
    for (std::string line; std::getline(stream, line);) {
      EXPECT_EQ(parsed(line)["step"], ++step);
      values.push_back(parsed(line)["loss"]);
    }
    return values;
  }
};

TEST_F(Metrics, ReadBackAsTheSameDoubles) {
  StepMetrics metrics;
  metrics.step = 12;
  metrics.loss = 1.0 / 3;
  metrics.gradient_norm = std::numeric_limits<double>::denorm_min();
  metrics.loss_scale = 65536;
  metrics.peak_bytes = {{"parameters", 81920}, {"gradients", std::size_t{1} << 40}};
  metrics.communicated_bytes = {{"all_gather", 7}};
  const Json line = parsed(json_line(metrics));
  EXPECT_EQ(line["loss"].get<double>(), 1.0 / 3);
  EXPECT_EQ(line["gradient_norm"].get<double>(), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(line["skipped"], false);
  EXPECT_EQ(line["peak_bytes"]["gradients"], std::size_t{1} << 40);
  EXPECT_EQ(line["communicated_bytes"]["all_gather"], 7);
  EXPECT_FALSE(line.contains("host_peak_bytes"));
  metrics.host_peak_bytes = {{"optimizer", 8192}};
  EXPECT_EQ(parsed(json_line(metrics))["host_peak_bytes"]["optimizer"], 8192);
}

TEST_F(Metrics, WhatIsNotFiniteIsAString) {
  StepMetrics metrics;
  metrics.loss = std::nan("");
  metrics.gradient_norm = std::numeric_limits<double>::infinity();
  metrics.learning_rate = -std::numeric_limits<double>::infinity();
  const Json line = parsed(json_line(metrics));
  EXPECT_EQ(line["loss"], "nan");
  EXPECT_EQ(line["gradient_norm"], "inf");
  EXPECT_EQ(line["learning_rate"], "-inf");
}

TEST_F(Metrics, AResumedRunDropsTheStepsItDoesAgain) {
  write(0, 5, 1.5);
  write(3, 6, 2.5);
  EXPECT_THAT(losses(), ElementsAre(1.5, 1.5, 1.5, 2.5, 2.5, 2.5));
}

TEST_F(Metrics, ANewRunBeginsAnew) {
  write(0, 5, 1.5);
  write(0, 2, 2.5);
  EXPECT_THAT(losses(), ElementsAre(2.5, 2.5));
}

TEST_F(Metrics, ATornLastLineIsDropped) {
  write(0, 3, 1.5);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 20);
  write(3, 4, 2.5);  // the third step's line was lost with the crash
  std::ifstream stream{path};
  std::vector<std::size_t> steps;
  for (std::string line; std::getline(stream, line);) steps.push_back(parsed(line)["step"]);
  EXPECT_THAT(steps, ElementsAre(1, 2, 4));
}

TEST_F(Metrics, ALineIsInTheFileAtOnce) {
  MetricsFile file{path, 0};
  file.add({.step = 1});
  EXPECT_THAT(losses(), ElementsAre(0.0));
}

}  // namespace
}  // namespace tranche
