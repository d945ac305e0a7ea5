// A text to train on, and jobs that make a model small.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/launcher/program.h"

namespace tranche {

class Compression : public Program {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 300; ++i) text += "tranche holds its share; ";
    folder.write("text.txt", text);
    ASSERT_EQ(run("tokenize --tokenizer byte -o train.h5 text.txt").exit, 0);
  }
  // What a job adds in order to quantize.  weights: of its shared parameters, inputs: null or of theirs
  static std::string quantization(const std::string& bits, const std::string& weights, const char* inputs = nullptr) {
    std::string text = R"(, "compression_training": {"weight_quantization": {"shared_parameters": {"enabled": true)" +
                       weights + R"(}, "different_groups": {"all": {"params": {"start_bits": )" + bits +
                       R"(, "target_bits": )" + bits + "}}}}";
    if (inputs != nullptr)
      text += R"(, "activation_quantization": {"shared_parameters": {"enabled": true, "schedule_offset": 0,
              "quantization_type": "asymmetric")" +
              std::string{inputs} + R"(}, "different_groups": {"all": {"params": {"bits": 8}}}})";
    return text + "}";
  }
  double loss_of(const std::string& checkpoint) const {
    const Result result =
        run("evaluate job.json --set data.validation=train.h5 --samples 40 --checkpoint " + checkpoint);
    EXPECT_EQ(result.exit, 0) << result.errors;
    return std::stod(result.output.substr(result.output.find("loss ") + 5));
  }
  std::string refusal_of(const std::string& more) const {
    write_job(more);
    return run("config job.json").errors;
  }
};

}  // namespace tranche
