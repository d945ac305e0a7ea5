// Event files, as protoc and a reader that shares nothing with the writer understand them.
#include <gmock/gmock.h>

#include <bit>
#include <map>
#include <regex>

#include "launcher/event_file.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// tensorflow/core/util/event.proto and framework/summary.proto, as far as we write them.
constexpr const char* event_proto = R"(syntax = "proto3";
message SessionLog { enum Status { UNSPECIFIED = 0; START = 1; STOP = 2; } Status status = 1; }
message Summary { message Value { string tag = 1; float simple_value = 2; } repeated Value value = 1; }
message Event {
  double wall_time = 1; int64 step = 2;
  oneof what { string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
})";

std::uint64_t number_at(const std::string& text, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(text.at(at + i));
  return value;
}

// Bit by bit, and masked.
std::uint32_t checksum(const std::string& text) {
  std::uint32_t crc = 0xffffffff;
  for (const char byte : text) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc % 2 != 0 ? 0x82f63b78 : 0);
  }
  return std::rotr(~crc, 15) + 0xa282ead8;
}

// The payloads of a file's records.
std::vector<std::string> payloads(const std::string& file) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < file.size();) {
    const std::size_t size = number_at(file, at, 8);
    EXPECT_EQ(number_at(file, at + 8, 4), checksum(file.substr(at, 8)));
    all.push_back(file.substr(at + 12, size));
    EXPECT_EQ(number_at(file, at + 12 + size, 4), checksum(all.back()));
    at += 16 + size;
  }
  return all;
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream stream{path};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

TEST(EventRecords, BeginAsEveryEventFileDoes) {
  const std::string version = event_record::version(1.5e9);
  EXPECT_EQ(version.substr(0, 13), std::string("\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22\x09", 13));
  EXPECT_THAT(payloads(version), SizeIs(1));
}

class TensorBoardFiles : public TrainingProgram {
 protected:
  void SetUp() override {
    TrainingProgram::SetUp();
    folder.write("event.proto", event_proto);
  }
  // What protoc makes of each record.
  std::vector<std::string> events(const std::filesystem::path& file) const {
    std::vector<std::string> all;
    for (const std::string& payload : payloads(text_of(file))) {
      folder.write("payload", payload);
      const Result decoded = shell("'" TRANCHE_PROTOC "' --decode=Event event.proto < payload");
      EXPECT_EQ(decoded.exit, 0) << decoded.errors;
      all.push_back(decoded.output);
    }
    return all;
  }
  std::vector<std::filesystem::path> files_in(const std::string& run) const {
    std::vector<std::filesystem::path> all;
    if (!std::filesystem::exists(folder.path() / run)) return all;
    for (const auto& entry : std::filesystem::directory_iterator{folder.path() / run}) all.push_back(entry.path());
    std::ranges::sort(all);
    return all;
  }
  using Series = std::map<std::string, std::map<std::size_t, float>>;  // tag, step of the axis, value

  // As TensorBoard reads a folder: by name of file, forgetting at a START what it has of that step and later ones.
  Series read(const std::string& run) const {
    static const std::regex step{R"(step: (\d+))"}, value{R"re(tag: "([^"]+)"\s+simple_value: (\S+))re"};
    Series series;
    for (const std::filesystem::path& file : files_in(run))
      for (const std::string& event : events(file)) {
        std::smatch found;
        const std::size_t at = std::regex_search(event, found, step) ? std::stoul(found[1]) : 0;
        if (event.find("status: START") != event.npos)
          for (auto& [tag, points] : series) points.erase(points.lower_bound(at), points.end());
        for (std::sregex_iterator each{event.begin(), event.end(), value}, none; each != none; ++each)
          EXPECT_TRUE(series[(*each)[1]].emplace(at, std::stof((*each)[2])).second) << "twice: " << event;
      }
    return series;
  }
  void expect_equal(const Series& series) const {
    static const std::map<std::string, std::string> keys{{"Train/Samples/train_loss", "loss"},
                                                         {"Train/Samples/lr", "learning_rate"},
                                                         {"Train/Samples/loss_scale", "loss_scale"},
                                                         {"Train/Samples/gradient_norm", "gradient_norm"},
                                                         {"Train/Samples/tokens_per_second", "tokens_per_second"}};
    EXPECT_EQ(series.size(), keys.size());
    for (const auto& [tag, key] : keys) {
      ASSERT_TRUE(series.contains(tag)) << tag;
      ASSERT_EQ(series.at(tag).size(), metrics().size()) << tag;
      for (const Json& line : metrics()) {
        const Json& value = line[key];
        const float read = series.at(tag).at(4 * line["step"].get<std::size_t>());  // samples of a step
        if (value.is_number())
          EXPECT_FLOAT_EQ(read, value.get<float>()) << tag << " of " << line;
        else
          EXPECT_FALSE(std::isfinite(read)) << tag << " of " << line;
      }
    }
  }
};

TEST_F(TensorBoardFiles, HoldWhatMetricsHoldByDeepSpeedsTagsAndSamples) {
  const Result result =
      run("train job.json --set steps=4 --set fp16.enabled=true --set fp16.initial_scale_power=26 --set "
          "fp16.hysteresis=1 --set 'tensorboard={\"enabled\": true, \"output_path\": \"boards\", \"job_name\": "
          "\"first\"}'");
  ASSERT_EQ(result.exit, 0) << result.errors;
  const auto files = files_in("boards/first");
  ASSERT_THAT(files, SizeIs(1));
  const std::vector<std::string> all = events(files[0]);
  ASSERT_THAT(all, SizeIs(6));
  EXPECT_THAT(all[0], AllOf(HasSubstr("wall_time: "), HasSubstr("file_version: \"brain.Event:2\"")));
  EXPECT_THAT(all[1], AllOf(HasSubstr("step: 4\n"), HasSubstr("status: START")));
  EXPECT_TRUE(metrics()[0]["skipped"].get<bool>()) << "meant to have a norm that is not finite";
  expect_equal(read("boards/first"));
}

TEST_F(TensorBoardFiles, OfARunThatGoesOnShowEachStepOnce) {
  const std::string train = "train job.json --set checkpoint.every=2 --set tensorboard.enabled=true --set steps=";
  ASSERT_EQ(run(train + "4").exit, 0);
  ASSERT_EQ(read("DeepSpeedJobName").at("Train/Samples/lr").size(), 4u);
  std::filesystem::remove_all(folder.path() / "runs/job/step-000004");  // as if it had been killed before
  const std::filesystem::path first = files_in("DeepSpeedJobName").at(0);
  std::filesystem::rename(first,
                          first.parent_path() / "events.out.tfevents.4000000000.zz.1");  // the clock was set back
  ASSERT_EQ(run(train + "6 --resume").exit, 0);
  EXPECT_THAT(files_in("DeepSpeedJobName"), SizeIs(2));
  EXPECT_EQ(metrics().size(), 6u);
  expect_equal(read("DeepSpeedJobName"));
  std::filesystem::remove_all(folder.path() / "runs");
  ASSERT_EQ(run(train + "3").exit, 0);  // from the start, in the same folder
  expect_equal(read("DeepSpeedJobName"));
}

TEST_F(TensorBoardFiles, AreRankZerosAndOnlyOnRequest) {
  ASSERT_EQ(run("train job.json").exit, 0);
  EXPECT_THAT(files_in("DeepSpeedJobName"), SizeIs(0));
  std::filesystem::remove_all(folder.path() / "runs");
  const Result two =
      shell("'" TRANCHE_MPIEXEC "' -np 2 '" TRANCHE_PROGRAM "' train job.json --set tensorboard.enabled=true");
  ASSERT_EQ(two.exit, 0) << two.errors;
  EXPECT_THAT(files_in("DeepSpeedJobName"), SizeIs(1));
}

TEST_F(TensorBoardFiles, ThatCannotBeWrittenEndTheRunAndAreNamed) {
  folder.write("file", "");
  const Result result = run("train job.json --set tensorboard.enabled=true --set tensorboard.output_path=file");
  EXPECT_EQ(result.exit, 8);
  EXPECT_THAT(result.errors, HasSubstr("while writing for TensorBoard in file/DeepSpeedJobName"));
}

}  // namespace
}  // namespace tranche
