// The program as its users meet it: what it prints, and what it exits with.
#include "tests/launcher/program.h"

#include <gmock/gmock.h>

#include <chrono>

#include "runtime/base/json.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST_F(Program, HelpIsQuick) {
  run("--help");
  const auto start = std::chrono::steady_clock::now();
  const Result help = run("--help");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds{500});  // 10 ms on an idle machine
  EXPECT_EQ(help.exit, 0);
  for (const char* command : {"tokenize", "train", "evaluate", "generate", "config", "checkpoint", "version"})
    EXPECT_THAT(help.output, HasSubstr(std::string{"\n  "} + command));
  EXPECT_THAT(run("version").output, StartsWith("tranche "));
}

TEST_F(Program, AWrongCommandLineIsUsage) {
  for (const char* wrong : {"", "trian job.json", "train", "train job.json --sett a=b", "config",
                            "config job.json --ranks 0", "checkpoint", "checkpoint digset runs",
                            "generate runs --temperature -1", "tokenize --output a.h5 a.txt", "train job.json --set"}) {
    const Result result = run(wrong);
    EXPECT_EQ(result.exit, 2) << wrong;
    EXPECT_THAT(result.output, IsEmpty()) << wrong;
    EXPECT_THAT(result.errors, HasSubstr("--help")) << wrong;
  }
  write_job();
  const Result result = run("config job.json --set steps");
  EXPECT_EQ(result.exit, 2);
  EXPECT_THAT(result.errors, HasSubstr("--set steps: expected --set key=value"));
}

TEST_F(Program, ABadJobFileIsOneMessageAndNothingIsWritten) {
  struct Case {
    std::string text, says;
  };
  for (const Case& each :
       {Case{"{\"steps\": 5,}", "error: job.json:1:13: not valid JSON"},
        Case{"", "error: job.json:1:0: not valid JSON: there is nothing in it"},
        Case{"{\"stepps\": 5}", "error: job.json:1: unknown key \"stepps\"; did you mean \"steps\"?"},
        Case{"{\"zero_optimization\": {\n\"stage\": 5}}", "error: job.json: \"model\" is missing"},
        Case{"{\"model\": {\"model_type\": \"gpt2\"}, \"data\": {\"train\": \"a\"}}",
             "error: job.json: \"data.sequence_length\" is missing"}}) {
    folder.write("job.json", each.text);
    for (const char* command : {"config job.json", "train job.json", "evaluate job.json"}) {
      const Result result = run(command);
      EXPECT_EQ(result.exit, 3) << command << result.errors;
      EXPECT_THAT(result.output, IsEmpty());
      EXPECT_THAT(result.errors, StartsWith(each.says)) << command;
      EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
      EXPECT_EQ(files(), 1u);
    }
  }
  const Result missing = run("config nowhere.json");
  EXPECT_EQ(missing.exit, 3);
  EXPECT_THAT(missing.errors, StartsWith("error: nowhere.json: cannot be opened: No such file or directory"));
}

TEST_F(Program, PrintsTheEffectiveJobWithOrigins) {
  write_job(R"(, "zero_optimization": {"reduce_bucket_size": 1e6})");
  const Result result = run("config job.json --set zero_optimization.stage=2 --ranks 2");
  EXPECT_EQ(result.exit, 0);
  EXPECT_THAT(result.output, AllOf(HasSubstr("\"stage\": 2,   // --set\n"), HasSubstr("\"steps\": 2,   // file\n"),
                                   HasSubstr("\"seed\": 1,   // default\n"),
                                   HasSubstr("\"directory\": \"runs/job\",   // derived from the job file's name\n")));
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("zero_optimization.reduce_bucket_size has no effect here: each unit's gradients"),
                    HasSubstr("a step is 2 micro-batches of 2 samples, 1 on each of 2 ranks")));
  EXPECT_EQ(parse_json(result.output, "config", Exit::internal)["steps"], 2);
  EXPECT_EQ(run("config job.json --ranks 3").exit, 3);
}

TEST_F(Program, TurnsTextIntoATokenFile) {
  folder.write("text.txt", "In the beginning");
  const Result result = run("tokenize --tokenizer byte --output text.h5 text.txt");
  EXPECT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("text.h5: 16 tokens from 16 bytes"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "text.h5"));
  const Result missing = run("tokenize --tokenizer byte --output other.h5 missing.txt");
  EXPECT_EQ(missing.exit, 4);
  EXPECT_THAT(missing.errors, HasSubstr("missing.txt"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "other.h5"));
}

TEST_F(Program, ATokenFileThatIsNoneIsDataThatDoesNotFit) {
  write_job();
  std::filesystem::create_directory(folder.path() / "train.h5");
  const Result result = run("train job.json");
  EXPECT_EQ(result.exit, 4);
  EXPECT_THAT(result.errors, StartsWith("error: train.h5: a folder, not a token file"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "runs"));
}

TEST_F(Program, AMissingBatchSizeNamesWhereItIsMissed) {
  write_job();
  const Result result = run("config job.json --set train_batch_size=null --set train_micro_batch_size_per_gpu=null");
  EXPECT_EQ(result.exit, 3);
  EXPECT_THAT(result.errors, AllOf(StartsWith("error: --set train_batch_size"), HasSubstr("is missing")));
}

class Trained : public Program {
 protected:
  const std::filesystem::path directory = folder.path() / "runs/job";

  void SetUp() override {
    folder.write("text.txt", std::string(2000, 'a'));
    ASSERT_EQ(run("tokenize --tokenizer byte --output train.h5 text.txt").exit, 0);
    write_job(R"(, "checkpoint": {"every": 1})");
    const Result result = run("train job.json");
    ASSERT_EQ(result.exit, 0) << result.errors;
  }
  void damage(const char* step) const { std::filesystem::remove(directory / step / "tranche-0000-of-0001.h5"); }
};

TEST_F(Trained, AResumeAtTheEndSaysSo) {
  const Result result = run("train job.json --resume");
  EXPECT_EQ(result.exit, 0);
  EXPECT_THAT(result.errors, HasSubstr("nothing to do: 2 steps are done, and \"steps\" is 2"));
}

TEST_F(Trained, ARunWhoseNewestStepIsDamagedIsNotVerified) {
  EXPECT_EQ(run("checkpoint verify runs/job").exit, 0);
  damage("step-000002");
  const Result result = run("checkpoint verify runs/job");
  EXPECT_EQ(result.exit, 5);
  EXPECT_THAT(result.output, HasSubstr("step-000001: every byte is as it was written"));
  EXPECT_THAT(result.errors, HasSubstr("step-000002: tranche-0000-of-0001.h5 is missing"));
  EXPECT_EQ(run("checkpoint verify runs/job/step-000001").exit, 0);
}

TEST_F(Trained, NothingStartsOverWhereEveryCheckpointIsDamaged) {
  damage("step-000001");
  damage("step-000002");
  const std::size_t before = files();
  for (const char* command : {"train job.json --resume", "train job.json"}) {
    const Result result = run(command);
    EXPECT_EQ(result.exit, 5) << command;
    EXPECT_THAT(result.errors, AllOf(HasSubstr("holds checkpoints, but none that is complete"),
                                     HasSubstr("step-000002: tranche-0000-of-0001.h5 is missing")));
    EXPECT_EQ(files(), before);
  }
}

TEST_F(Trained, AFileAtItsSizeLimitIsAWriteThatFails) {
  const Result result =
      run("version >/dev/null; ulimit -f 20; '" TRANCHE_PROGRAM "' train job.json --resume --set steps=3");
  EXPECT_EQ(result.exit, 8) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("File too large"));
  EXPECT_EQ(run("checkpoint verify runs/job").exit, 0);
}

TEST_F(Trained, IsPackedEvaluatedAndGeneratedFrom) {
  const auto loss_of = [&](const std::string& checkpoint) {
    const Result result = run("evaluate job.json --set data.validation=train.h5 --checkpoint " + checkpoint);
    EXPECT_EQ(result.exit, 0) << result.errors;
    double loss = 0;
    const std::size_t at = result.output.find("validation loss ");
    EXPECT_NE(at, std::string::npos) << result.output;
    if (at != std::string::npos) loss = std::stod(result.output.substr(at + 16));
    return loss;
  };
  const double expected = loss_of("runs/job");
  for (const std::string scheme : {"int8-dynamic", "int8-weight", "int4-weight --group 32", "float16", "bfloat16"}) {
    const Result packed = run("compress quantize runs/job -o small.packed --scheme " + scheme);
    EXPECT_EQ(packed.exit, 0) << packed.errors;
    EXPECT_THAT(packed.output, HasSubstr("% of float32"));
    EXPECT_NEAR(loss_of("small.packed"), expected, scheme.starts_with("int4") ? 0.02 : 0.002) << scheme;
    std::filesystem::rename(folder.path() / "train.h5", folder.path() / "elsewhere.h5");  // generating needs no data
    const Result text = run("generate small.packed --prompt aaaa --tokens 8 --temperature 0");
    EXPECT_EQ(text.exit, 0) << text.errors;
    EXPECT_THAT(text.output, StartsWith("aaaa"));
    std::filesystem::rename(folder.path() / "elsewhere.h5", folder.path() / "train.h5");
  }
}

TEST_F(Trained, IsCalibratedAndPackedWithStaticRanges) {
  for (const std::string method : {"min-max", "percentile", "least-squares", "kl"}) {
    const Result calibrated = run("calibrate runs/job --samples 8 -o ranges.json --method " + method);
    EXPECT_EQ(calibrated.exit, 0) << calibrated.errors;
    EXPECT_THAT(calibrated.output, HasSubstr("ranges.json: the ranges of 5 inputs, by " + method));
    const Result packed = run("compress quantize runs/job --scheme int8-static --ranges ranges.json -o small.packed");
    EXPECT_EQ(packed.exit, 0) << packed.errors;
    const Result loss = run("evaluate job.json --set data.validation=train.h5 --checkpoint small.packed");
    EXPECT_EQ(loss.exit, 0) << loss.errors;
  }
}

TEST_F(Trained, APresetIsCalibrationAndPackingInOne) {
  ASSERT_EQ(run("calibrate runs/job --samples 8 -o ranges.json").exit, 0);
  ASSERT_EQ(run("compress quantize runs/job --scheme int8-static --ranges ranges.json -o two.packed").exit, 0);
  for (const std::string preset : {"x86", "arm"}) {
    const Result packed = run("compress quantize runs/job --samples 8 -o " + preset + ".packed --qconfig " + preset);
    EXPECT_EQ(packed.exit, 0) << packed.errors;
    EXPECT_EQ(run("evaluate job.json --set data.validation=train.h5 --checkpoint " + preset + ".packed").exit, 0);
  }
  EXPECT_EQ(shell("cmp two.packed x86.packed").exit, 0);
  EXPECT_EQ(shell("cmp two.packed arm.packed").exit, 1);
}

TEST_F(Trained, CalibrationThatCannotBeLeavesNoFile) {
  folder.write("empty.txt", "");
  folder.write("short.txt", "abc");
  run("tokenize --tokenizer byte --output empty.h5 empty.txt");
  ASSERT_EQ(run("tokenize --tokenizer byte --output short.h5 short.txt").exit, 0);
  folder.write("ranges.json", R"({"format": "tranche ranges", "version": 1, "method": "kl", "checksum": "",
                                  "ranges": {"blocks.0.mlp.up.weight": [0, null]}})");
  const std::size_t before = files();
  EXPECT_EQ(run("calibrate runs/job --data empty.h5 -o new.json").exit, 4);
  EXPECT_EQ(run("calibrate runs/job --data short.h5 -o new.json").exit, 4);
  EXPECT_EQ(run("calibrate runs/job --method best -o new.json").exit, 2);
  EXPECT_EQ(run("compress quantize runs/job --scheme int8-static -o small.packed").exit, 2);
  EXPECT_EQ(run("compress quantize runs/job --scheme int8-dynamic --ranges ranges.json -o small.packed").exit, 2);
  EXPECT_EQ(run("compress quantize runs/job --qconfig riscv -o small.packed").exit, 2);
  EXPECT_EQ(run("compress quantize runs/job --qconfig x86 --ranges ranges.json -o small.packed").exit, 2);
  EXPECT_EQ(run("compress quantize runs/job --qconfig x86 --scheme int8-dynamic -o small.packed").exit, 2);
  EXPECT_EQ(run("compress quantize runs/job -o small.packed").exit, 2);
  EXPECT_EQ(run("compress quantize runs/job --qconfig x86 --data short.h5 -o small.packed").exit, 4);
  const Result bad = run("compress quantize runs/job --scheme int8-static --ranges ranges.json -o small.packed");
  EXPECT_EQ(bad.exit, 4);
  EXPECT_THAT(bad.errors, HasSubstr("ranges.json: blocks.0.mlp.up.weight: the range is [0,null]"));
  EXPECT_EQ(files(), before);
}

// 257 tokens: every byte, by the letter that byte-level vocabularies write for it, and "aa".
TEST_F(Trained, CalibrationWithTokensThatTheModelHasNotIsRefused) {
  std::string vocabulary;
  unsigned unprintable = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool shown = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    vocabulary += str(R"("\u)", std::hex, std::setw(4), std::setfill('0'), shown ? byte : unprintable++,
                      "\": ", std::dec, byte, ", ");
  }
  folder.write("vocab.json", "{" + vocabulary + R"("aa": 256})");
  folder.write("merges.txt", "#version: 0.2\na a\n");
  const Result made = run("tokenize --tokenizer vocab.json --output others.h5 text.txt");
  ASSERT_EQ(made.exit, 0) << made.errors;
  const std::size_t before = files();
  const Result refused = run("calibrate runs/job --data others.h5 -o new.json");
  EXPECT_EQ(refused.exit, 4);
  EXPECT_THAT(refused.errors,
              AllOf(HasSubstr("others.h5 was made with"), HasSubstr("do not fit the model's vocab_size of 256"),
                    HasSubstr("tokenize the text anew")));
  EXPECT_EQ(files(), before);
}

TEST_F(Trained, WhatCannotBePackedLeavesNoFile) {
  const std::size_t before = files();
  EXPECT_EQ(run("compress quantize runs/job --scheme int3 -o small.packed").exit, 2);
  EXPECT_EQ(run("compress quantize runs/job --scheme int4-weight --group 48 -o small.packed").exit, 2);
  EXPECT_EQ(run("compress quantize runs/none --scheme float16 -o small.packed").exit, 5);
  EXPECT_EQ(run("compress quantize runs/job --scheme float16 -o nowhere/small.packed").exit, 8);
  EXPECT_EQ(files(), before);
}

TEST_F(Trained, APackedFileThatIsTruncatedOrOfAnotherModelIsRefused) {
  ASSERT_EQ(run("compress quantize runs/job --scheme int8-dynamic -o small.packed").exit, 0);
  const Result other =
      run("evaluate job.json --set data.validation=train.h5 --set model.n_layer=2 --checkpoint small.packed");
  EXPECT_EQ(other.exit, 5);
  EXPECT_THAT(other.errors, HasSubstr("holds another model than job.json: \"n_layer\" is 1 and 2"));
  std::filesystem::resize_file(folder.path() / "small.packed", 10000);
  for (const char* command :
       {"evaluate job.json --set data.validation=train.h5 --checkpoint small.packed", "generate small.packed"}) {
    const Result result = run(command);
    EXPECT_EQ(result.exit, 5) << command;
    EXPECT_THAT(result.errors, HasSubstr("small.packed"));
  }
}

TEST_F(Program, SaysThatACheckpointIsNotThere) {
  for (const char* command : {"inspect", "verify", "digest"}) {
    const Result result = run(std::string{"checkpoint "} + command + " runs/none");
    EXPECT_EQ(result.exit, 5) << result.errors;
    EXPECT_THAT(result.errors, HasSubstr("runs/none"));
  }
}

}  // namespace
}  // namespace tranche
