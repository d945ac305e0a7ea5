// Jobs that compress while they train, from the job file to the packed model.
#include "tests/launcher/compression.h"

#include <gmock/gmock.h>

#include <tuple>

#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tranche {
namespace {

using ::testing::HasSubstr;

// Training's own forward against integers: float32 sums on one side, exact ones on the other, and words of inputs.
TEST_F(Compression, AConvertedModelComputesWhatTrainingDid) {
  struct Case {
    std::string bits, weights;
    const char* inputs;
    std::string scheme;
  };
  const std::string rows = R"(, "group_columns": 1000)", groups = R"(, "group_columns": 16)";
  const std::string learned = R"(, "learned_step_sizes": true)";
  for (const Case& each :
       {Case{"4", groups + learned, nullptr, "int4-weight"}, Case{"1", rows + learned, nullptr, "int2-weight"},
        Case{"8", rows + learned, "", "int8-dynamic"}, Case{"8", rows, nullptr, "int8-weight"},
        Case{"8", "", nullptr, "int8-weight"}, Case{"4", groups, nullptr, "int4-weight"},
        Case{"3", rows, nullptr, "int4-weight"}, Case{"2", groups, nullptr, "int2-weight"},
        Case{"1", rows, nullptr, "int2-weight"}, Case{"2", R"(, "group_columns": 8)", nullptr, "int2-weight"},
        Case{"2", rows, "", "int8-dynamic"}, Case{"8", rows, "", "int8-dynamic"}, Case{"4", rows, "", "int8-dynamic"},
        Case{"8", rows, R"(, "range_calibration": "static")", "int8-static"}}) {
    SCOPED_TRACE(each.scheme + " " + each.bits + each.weights);
    write_job(quantization(each.bits, each.weights, each.inputs));
    ASSERT_EQ(shell("rm -rf runs small.packed").exit, 0);
    ASSERT_EQ(run("train job.json --set steps=6 --set optimizer.params.lr=0.02").exit, 0);
    const Result converted = run("compress convert runs/job -o small.packed");
    ASSERT_EQ(converted.exit, 0) << converted.errors;
    EXPECT_THAT(converted.output, HasSubstr("small.packed: " + each.scheme));
    const double trained = loss_of("runs/job");
    EXPECT_NEAR(loss_of("small.packed"), trained, 1e-4 * trained);
  }
}

TEST_F(Compression, AModelThatLearnedTheStepsOfItsInputsComputesPackedWhatTrainingDid) {
  write_job(
      R"(, "compression_training": {"weight_quantization": {"shared_parameters": {"enabled": true, "group_columns": 1000},
      "different_groups": {"all": {"params": {"start_bits": 8, "target_bits": 8}}}}, "activation_quantization": {
      "shared_parameters": {"enabled": true, "schedule_offset": 2, "range_calibration": "static",
      "learned_step_sizes": true}, "different_groups": {"all": {"params": {"bits": 8}}}}})");
  ASSERT_EQ(run("train job.json --set steps=8 --set optimizer.params.lr=0.02").exit, 0);
  const Result converted = run("compress convert runs/job -o small.packed");
  ASSERT_EQ(converted.exit, 0) << converted.errors;
  EXPECT_THAT(converted.output, HasSubstr("small.packed: int8-static"));
  const double trained = loss_of("runs/job");
  EXPECT_NEAR(loss_of("small.packed"), trained, 1e-4 * trained);
}

// Weights and inputs that are signs: counts of bits against training's float sums.
TEST_F(Compression, AModelOfSignsComputesPackedWhatTrainingDid) {
  const std::string modules = R"(, "modules": ["attention", "mlp"]}}})";
  const auto job = [&](const std::string& weights, const char* signs, const std::string& end) {
    return R"(, "compression_training": {"weight_quantization": {"shared_parameters": {"enabled": true)" + weights +
           R"(}, "different_groups": {"all": {"params": {"start_bits": 1, "target_bits": 1})" + end +
           R"(, "activation_quantization": {"shared_parameters": {"enabled": true, "schedule_offset": 0, "signs": ")" +
           signs + R"("}, "different_groups": {"all": {"params": {"bits": 1})" + end + "}";
  };
  const std::string rows = R"(, "group_columns": 1000)", learned = R"(, "learned_step_sizes": true)";
  for (const auto& [weights, signs, scheme] :
       {std::tuple{rows + learned, "plain", "signs"}, {rows, "scaled", "scaled-signs"}}) {
    SCOPED_TRACE(scheme);
    write_job(job(weights, signs, modules));
    ASSERT_EQ(shell("rm -rf runs small.packed").exit, 0);
    ASSERT_EQ(run("train job.json --set steps=6 --set optimizer.params.lr=0.02").exit, 0);
    const Result converted = run("compress convert runs/job -o small.packed");
    ASSERT_EQ(converted.exit, 0) << converted.errors;
    EXPECT_THAT(converted.output, HasSubstr(std::string{"small.packed: "} + scheme));
    const double trained = loss_of("runs/job");
    EXPECT_NEAR(loss_of("small.packed"), trained, 1e-4 * trained);
    EXPECT_EQ(run("generate small.packed --prompt tranche --tokens 8 --temperature 0").exit, 0);
    EXPECT_THAT(run(std::string{"compress quantize runs/job -o other.packed --scheme "} + scheme).errors,
                HasSubstr("that was made of signs while it trained"));
  }
  const auto refusal = [&](const std::string& weights, const std::string& end) {
    write_job(job(weights, "plain", end));
    EXPECT_EQ(shell("rm -rf runs").exit, 0);
    EXPECT_EQ(run("train job.json").exit, 0);
    const Result result = run("compress convert runs/job -o other.packed");
    EXPECT_EQ(result.exit, 2);
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "other.packed"));
    return result.errors;
  };
  EXPECT_THAT(refusal(R"(, "group_columns": 16)", modules), HasSubstr("signs have one scale a row"));
  EXPECT_THAT(refusal(rows + learned, "}}}"), HasSubstr("of linears alone"));
}

// Two bits cost a trained model much; rounded by what its linears see, less.
TEST_F(Compression, RoundingByTheInputsLosesLessThanToNearestAndIsTheSameEachTime) {
  write_job();
  ASSERT_EQ(run("train job.json --set steps=60 --set optimizer.params.lr=0.01 --set model.n_embd=64").exit, 0);
  const auto packed = [&](const std::string& how) {
    const Result result = run("compress quantize runs/job --scheme int2-weight --group 32 -o small.packed " + how);
    EXPECT_EQ(result.exit, 0) << result.errors;
    return read_small_file(folder.path() / "small.packed");
  };
  const auto loss = [&](const std::string& model) { return loss_of(model + " --set model.n_embd=64"); };
  packed("");
  const double trained = loss("runs/job"), nearest = loss("small.packed");
  const std::string once = packed("--rounding gptq --data train.h5 --samples 20");
  EXPECT_LT(loss("small.packed") - trained, 0.7 * (nearest - trained));
  EXPECT_EQ(packed("--rounding gptq --samples 20"), once);
  const std::string scaled = packed("--rounding awq --data train.h5 --samples 20");
  // What each linear loses of its outputs is no more (tests/compress/input_scaling.cpp); the loss goes either way.
  EXPECT_LT(loss("small.packed") - trained, 1.5 * (nearest - trained));
  EXPECT_EQ(packed("--rounding awq --samples 20"), scaled);

  folder.write("short.txt", "abc");
  ASSERT_EQ(run("tokenize --tokenizer byte -o short.h5 short.txt").exit, 0);
  const auto refusal = [&](const std::string& how, int exit) {
    const Result result = run("compress quantize runs/job -o other.packed " + how);
    EXPECT_EQ(result.exit, exit) << how;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "other.packed"));
    return result.errors;
  };
  EXPECT_THAT(refusal("--scheme int4-weight --rounding gptq --data short.h5", 4), HasSubstr("short.h5"));
  EXPECT_THAT(refusal("--scheme int8-weight --rounding gptq", 2), HasSubstr("is for int4-weight and int2-weight"));
  EXPECT_THAT(refusal("--scheme int4-weight --rounding awq --data short.h5", 4), HasSubstr("short.h5"));
  EXPECT_THAT(refusal("--scheme float16 --rounding awq", 2), HasSubstr("is for int4-weight and int2-weight"));
  EXPECT_THAT(refusal("--scheme int4-weight --rounding best", 2), HasSubstr("expected nearest, gptq or awq"));
  EXPECT_THAT(refusal("--scheme int4-weight --data short.h5", 2),
              HasSubstr("is for --qconfig and for --rounding gptq and awq alone"));
}

TEST_F(Compression, WhatCannotBeConvertedSaysWhyAndWritesNothing) {
  const auto refusal = [&](const std::string& more) {
    write_job(more);
    EXPECT_EQ(shell("rm -rf runs").exit, 0);
    EXPECT_EQ(run("train job.json").exit, 0);
    const Result result = run("compress convert runs/job -o small.packed");
    EXPECT_EQ(result.exit, 2);
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "small.packed"));
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "small.packed.partial"));
    return result.errors;
  };
  EXPECT_THAT(refusal(""),
              HasSubstr("was trained without compression_training.weight_quantization and sparse_pruning"));
  const auto inputs_alone = [](const char* how, const char* bits) {
    return str(R"(, "compression_training": {"activation_quantization": {"shared_parameters": {"enabled": true)", how,
               R"(}, "different_groups": {"all": {"params": {"bits": )", bits, "}}}}}");
  };
  EXPECT_THAT(refusal(inputs_alone("", "8")),
              HasSubstr("quantized inputs of float weights, which no packed model has"));
  EXPECT_THAT(refusal(inputs_alone(R"(, "signs": "plain")", "1")), HasSubstr("weight_quantization of 1 bit beside it"));
  EXPECT_THAT(refusal(quantization("8", R"(, "quantization_type": "asymmetric")")),
              HasSubstr("quantization_type=symmetric"));
  EXPECT_THAT(refusal(quantization("8", R"(, "schedule_offset": 50)")), HasSubstr("fake quantization begins after 50"));
  EXPECT_THAT(refusal(quantization("8", R"(, "group_columns": 10)")), HasSubstr("packed ones are multiples of 8"));
  EXPECT_THAT(refusal(quantization("8", R"(, "group_columns": 16)", "")), HasSubstr("has one scale a row"));
}

TEST_F(Compression, KeysThatCannotBeAreRefused) {
  EXPECT_THAT(refusal_of(quantization("9", "")), HasSubstr("from 1 to 8"));
  EXPECT_THAT(refusal_of(quantization("2", R"(, "quantization_type": "asymmetric")")), HasSubstr("are symmetric"));
  EXPECT_THAT(refusal_of(quantization("8", R"(, "rounding": "stochastic")")), HasSubstr("not supported yet"));
  EXPECT_THAT(refusal_of(quantization("8", R"(, "quantise_groups": 2)")), HasSubstr("quantize_groups"));
  EXPECT_THAT(refusal_of(quantization("8", R"(, "quantize_groups": 7)")), HasSubstr("choose a divisor"));
  const std::string learned = R"(, "learned_step_sizes": true)";
  EXPECT_THAT(refusal_of(quantization("8", learned + R"(, "quantization_type": "asymmetric")")),
              HasSubstr("is for levels about 0"));
  const std::string falling =
      R"(, "compression_training": {"weight_quantization": {"shared_parameters": {"enabled": true)" + learned +
      R"(}, "different_groups": {"all": {"params": {"start_bits": 4, "target_bits": 3}}}}})";
  EXPECT_THAT(refusal_of(falling), HasSubstr("is for a fixed number of bits, and a group goes from 4 to 3"));
  const auto learned_inputs = [&](const std::string& more, const char* bits) {
    return R"(, "compression_training": {"activation_quantization": {"shared_parameters": {"enabled": true)" + learned +
           more + R"(}, "different_groups": {"all": {"params": {"bits": )" + bits + "}}}}}";
  };
  const std::string fixed = R"(, "range_calibration": "static")";
  EXPECT_THAT(refusal_of(learned_inputs("", "8")), HasSubstr("that begin with a range"));
  EXPECT_THAT(refusal_of(learned_inputs(fixed + R"(, "quantization_type": "asymmetric")", "8")),
              HasSubstr("levels about 0"));
  EXPECT_THAT(refusal_of(learned_inputs(fixed + R"(, "schedule_offset": 1)", "8")), HasSubstr("at least 2"));
  EXPECT_THAT(refusal_of(learned_inputs(fixed, "1")), HasSubstr("is for 2 bits or more"));
  const auto signs = [](const std::string& bits, const char* more) {
    return R"(, "compression_training": {"activation_quantization": {"shared_parameters": {"enabled": true, "signs": "plain")" +
           std::string{more} + R"(}, "different_groups": {"all": {"params": {"bits": )" + bits + "}}}}}";
  };
  EXPECT_THAT(refusal_of(signs("8", "")), HasSubstr("which are 1 bit, and a group has \"bits\" 8"));
  EXPECT_THAT(refusal_of(signs("1", R"(, "range_calibration": "static")")), HasSubstr("which have no range"));
  const std::string begin =
      R"(, "compression_training": {"weight_quantization": {"shared_parameters": {"enabled": true}, )";
  EXPECT_THAT(refusal_of(begin + R"("different_groups": {}}})"), HasSubstr("at least one group"));
  EXPECT_THAT(refusal_of(begin + R"("different_groups": {"a": {"params": {"start_bits": 4}}}}})"),
              HasSubstr("target_bits"));
  EXPECT_THAT(refusal_of(begin + R"("different_groups": {"a": {"params": {"start_bits": 4, "target_bits": 8}}}}})"),
              HasSubstr("more than \"start_bits\""));
  EXPECT_THAT(refusal_of(begin + R"("different_groups": {"a": {"params": {"start_bits": 4, "target_bits": 4},
                                    "modules": ["attention.self"]}}}})"),
              HasSubstr("no weight of the model is in the modules"));
  EXPECT_THAT(refusal_of(begin + R"("different_groups": {"a": {"params": {"start_bits": 4, "target_bits": 4},
                                    "modules": ["("]}}}})"),
              HasSubstr("no regular expression"));
}

TEST_F(Compression, PruningThatCannotBeIsRefused) {
  const auto refusal = [&](const std::string& shared, const std::string& params, const std::string& more = "") {
    return refusal_of(R"(, "compression_training": {"sparse_pruning": {"shared_parameters": {"enabled": true)" +
                      shared + R"(}, "different_groups": {"all": {"params": {)" + params + "}}}}" + more + "}");
  };
  const std::string half = R"("dense_ratio": 0.5)";
  for (const char* ratio : {"0", "1.01", "-0.5"})
    EXPECT_THAT(refusal("", str(R"("dense_ratio": )", ratio)), HasSubstr("above 0 and at most 1")) << ratio;
  EXPECT_THAT(refusal("", ""), HasSubstr("dense_ratio"));
  EXPECT_THAT(refusal("", half), HasSubstr("a step is"));
  EXPECT_THAT(refusal(R"(, "schedule_offset": 9, "schedule_offset_end": 8)", half),
              HasSubstr("before \"schedule_offset\""));
  EXPECT_THAT(refusal(R"(, "schedule_offset_stride": 0)", half), HasSubstr("of at least 1"));
  EXPECT_THAT(refusal(R"(, "method": "snip_momentum")", half), HasSubstr(R"("l1" or "l2" or "topk")"));
  for (const char* penalty : {R"(, "l1_penalty": -1)", R"(, "l2_penalty": -0.1)"})
    EXPECT_THAT(refusal("", half + penalty), HasSubstr("of at least 0"));
  const std::string rewinding = R"(, "schedule_offset": 9, "rewinding": {"rounds": 3, "to": )";
  EXPECT_THAT(refusal(rewinding + "9}", half), HasSubstr("after which the first round ends"));
  EXPECT_THAT(refusal(rewinding + R"(2}, "schedule_offset_end": 12)", half), HasSubstr("says when weights go"));
  EXPECT_THAT(refusal(rewinding + R"(2}, "method": "topk")", half), HasSubstr("prunes by magnitude"));
  for (const char* pattern :
       {"4x1", "4:4", "0:4", "2:3", "2:128", "2:4 ", "-2:4", ":4", "2:", "99999999999999999999:4"})
    EXPECT_THAT(refusal(str(R"(, "block_pattern": ")", pattern, "\""), ""), HasSubstr("such as \"2:4\"")) << pattern;
  EXPECT_THAT(refusal(R"(, "block_pattern": "1:4")", half), HasSubstr("leaves 0.25 of the weights"));
  EXPECT_THAT(refusal(R"(, "block_pattern": "2:4")", half), HasSubstr("a step is"));
  EXPECT_THAT(refusal(R"(, "block_pattern": "2:4", "scope": "global")", ""), HasSubstr("take one of them away"));
  EXPECT_THAT(refusal(R"(, "excluded_modules": "mlp")", half), HasSubstr("must be a list of names"));
  EXPECT_THAT(refusal("", half + R"(}, "modules": ["nowhere"], "related_modules": {)"),
              HasSubstr("in the modules \"nowhere\""));
  const std::string quantized =
      R"(, "weight_quantization": {"shared_parameters": {"enabled": true, "quantization_type": ")";
  const std::string bits = R"("}, "different_groups": {"all": {"params": {"start_bits": BITS, "target_bits": BITS}}}})";
  const auto with_bits = [&](const char* count) {
    std::string text = bits;
    for (std::size_t at; (at = text.find("BITS")) != std::string::npos;) text.replace(at, 4, count);
    return text;
  };
  EXPECT_THAT(refusal("", half, quantized + "asymmetric" + with_bits("8")), HasSubstr("need not contain 0"));
  EXPECT_THAT(refusal("", half, quantized + "symmetric" + with_bits("1")), HasSubstr("need not contain 0"));
  EXPECT_THAT(refusal(rewinding + "2}", half,
                      quantized + R"(symmetric", "learned_step_sizes": true, "rounding": "nearest)" + with_bits("4")),
              HasSubstr("rewind the learning rate alone"));
  EXPECT_THAT(refusal("", half, quantized + "symmetric" + with_bits("2")), HasSubstr("a step is"));
}

TEST_F(Compression, APrunedModelIsStoredWithoutItsZerosAndComputesTheSame) {
  const std::string wide = " --set model.n_embd=128 --set model.n_layer=2 ";
  const std::string begin = R"(, "compression_training": {"sparse_pruning": {"shared_parameters": {"enabled": true,
      "schedule_offset": 2, "schedule_offset_end": 4)",
                    end = R"(}, "different_groups": {"all": {"params": {"dense_ratio": 0.5}}}}})";
  for (const char* how : {"", R"(, "scope": "global")", R"(, "block_pattern": "2:4")"}) {
    SCOPED_TRACE(how);
    write_job(begin + how + end);
    ASSERT_EQ(shell("rm -rf runs small.packed").exit, 0);
    ASSERT_EQ(run("train job.json --set steps=1" + wide).exit, 0);
    const Result early = run("compress convert runs/job -o small.packed");
    EXPECT_EQ(early.exit, 2);
    EXPECT_THAT(early.errors, HasSubstr("pruning begins after 2: train on, then convert"));
    ASSERT_EQ(run("train job.json --resume --set steps=6" + wide).exit, 0);
    const Result converted = run("compress convert runs/job -o small.packed");
    ASSERT_EQ(converted.exit, 0) << converted.errors;
    EXPECT_THAT(converted.output, HasSubstr("small.packed: sparse"));
    const auto packed = static_cast<double>(std::filesystem::file_size(folder.path() / "small.packed"));
    const double dense = 4.0 * std::stod(converted.output.substr(converted.output.find(" for ") + 5));
    EXPECT_LT(packed, 0.6 * dense);
    const auto evaluated = [&](const std::string& model) {
      const Result result =
          run("evaluate job.json --set data.validation=train.h5 --samples 40 --checkpoint " + model + wide);
      EXPECT_EQ(result.exit, 0) << result.errors;
      return result.output.substr(result.output.find(':'));
    };
    EXPECT_EQ(evaluated("small.packed"), evaluated("runs/job"));
    // Few tokens at once are multiplied without the zeros.
    const std::string few = " --set train_micro_batch_size_per_gpu=1 --set data.sequence_length=16" + wide;
    const double trained = loss_of("runs/job" + few);
    EXPECT_NEAR(loss_of("small.packed" + few), trained, 1e-4 * trained);
    const Result generated = run("generate small.packed --prompt tranche --tokens 8 --temperature 0");
    EXPECT_EQ(generated.exit, 0) << generated.errors;
    EXPECT_EQ(generated.output, run("generate runs/job --prompt tranche --tokens 8 --temperature 0").output);
  }
  EXPECT_THAT(run("compress quantize runs/job --scheme sparse -o other.packed").errors,
              HasSubstr("`tranche compress convert` writes it"));
}

TEST_F(Compression, APatternThatDividesNoRowIsRefused) {
  write_job(R"(, "compression_training": {"sparse_pruning": {"shared_parameters": {"enabled": true,
      "block_pattern": "2:64"}, "different_groups": {"all": {"params": {}}}}})");
  const std::string narrow = "config job.json --set model.n_embd=96";
  EXPECT_THAT(run(narrow).errors, HasSubstr("is not divided by 64"));
}

TEST_F(Compression, ALowRankModelIsEvaluatedSampledPackedAndTrainedOn) {
  write_job();
  const std::string wide = " --set model.n_embd=64 --set model.n_layer=2 ";
  ASSERT_EQ(run("train job.json --set steps=30 --set optimizer.params.lr=0.01" + wide).exit, 0);
  const auto loss = [&](const std::string& arguments) {
    const Result result = run("evaluate job.json --set data.validation=train.h5 --samples 40 " + arguments);
    EXPECT_EQ(result.exit, 0) << result.errors;
    return std::stod(result.output.substr(result.output.find("loss ") + 5));
  };
  const double whole = loss("--checkpoint runs/job" + wide);
  const Result factored = run("compress low-rank runs/job --rank 30 --modules down output -o low");
  ASSERT_EQ(factored.exit, 0) << factored.errors;
  EXPECT_THAT(factored.output, HasSubstr("blocks.1.mlp.down"));
  const std::string low = " --set model=low/model.json ";
  EXPECT_NEAR(loss("--checkpoint low" + low), whole, 0.01 * whole);
  EXPECT_EQ(run("generate low --prompt tranche --tokens 8").exit, 0);
  EXPECT_EQ(run("compress quantize low --scheme int8-weight -o low.packed").exit, 0);
  EXPECT_NEAR(loss("--checkpoint low.packed" + low), whole, 0.02 * whole);

  const Result half = run("compress low-rank runs/job --size 0.5 -o half");
  ASSERT_EQ(half.exit, 0) << half.errors;
  const std::string on = " --set model=half/model.json --set checkpoint.start_from=half --set checkpoint.directory=on ";
  const double before = loss("--checkpoint half --set model=half/model.json");
  ASSERT_EQ(run("compress low-rank runs/job --size 0.5 --error outputs --samples 40 -o seen").exit, 0);
  EXPECT_LT(loss("--checkpoint seen --set model=seen/model.json"), before);
  const Result trained = run("train job.json --set steps=20 --set optimizer.params.lr=0.003" + on);
  ASSERT_EQ(trained.exit, 0) << trained.errors;
  EXPECT_LT(loss("--checkpoint on" + on), before);
  EXPECT_EQ(run("train job.json --resume --set steps=22 --set optimizer.params.lr=0.003" + on).exit, 0);
}

TEST_F(Compression, RanksThatCannotBeSaySoAndWriteNothing) {
  write_job();
  ASSERT_EQ(run("train job.json").exit, 0);
  const auto refusal = [&](const std::string& arguments, int code = 2) {
    const Result result = run("compress low-rank " + arguments);
    EXPECT_EQ(result.exit, code) << arguments;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "low")) << arguments;
    return result.errors;
  };
  EXPECT_THAT(refusal("runs/job -o low"), HasSubstr("give one of"));
  EXPECT_THAT(refusal("runs/job -o low --rank 2 --size 0.5"), HasSubstr("give one of"));
  EXPECT_THAT(refusal("runs/job -o low --rank 0"), HasSubstr("at least 1"));
  EXPECT_THAT(refusal("runs/job -o low --energy 1.5"), HasSubstr("at most 1"));
  EXPECT_THAT(refusal("runs/job -o low --energy 0"), HasSubstr("above 0"));
  EXPECT_THAT(refusal("runs/job -o low --size 1"), HasSubstr("below 1"));
  EXPECT_THAT(refusal("runs/job -o low --rank 2 --error both"), HasSubstr("expected weights or outputs"));
  EXPECT_THAT(refusal("runs/job -o low --rank 2 --data train.h5"), HasSubstr("--data is for --error outputs"));
  EXPECT_THAT(refusal("runs/job -o low --rank 2 --error outputs --data nowhere.h5", 4), HasSubstr("nowhere.h5"));
  EXPECT_THAT(refusal("runs/job -o low --size 0.001"), HasSubstr("with rank 1 everywhere the model still has"));
  EXPECT_THAT(refusal("runs/job -o low --rank 1000"), HasSubstr("no linear becomes smaller"));
  EXPECT_THAT(refusal("runs/job -o low --rank 2 --modules nowhere"), HasSubstr("no linear of the model is in nowhere"));
  EXPECT_THAT(refusal("runs/job -o low --rank 2 --modules '('", 3), HasSubstr("no regular expression"));
  EXPECT_THAT(refusal("nothing -o low --rank 2", 5), HasSubstr("nothing"));
  EXPECT_THAT(run("compress low-rank runs/job -o runs/job --rank 2").errors, HasSubstr("holds checkpoints already"));
  ASSERT_EQ(run("compress low-rank runs/job -o once --rank 2").exit, 0);
  EXPECT_THAT(refusal("once -o low --rank 1"), HasSubstr("are products already"));
  const Result resumed =
      run("train job.json --resume --set steps=4 --set model=once/model.json --set checkpoint.directory=once");
  EXPECT_EQ(resumed.exit, 5);
  EXPECT_THAT(resumed.errors, HasSubstr("has no exp_avg"));
}

TEST_F(Compression, AReportComparesCheckpointsAndPackedModels) {
  write_job();
  ASSERT_EQ(run("train job.json").exit, 0);
  ASSERT_EQ(run("compress quantize runs/job --scheme int8-weight -o small.packed").exit, 0);
  ASSERT_EQ(run("compress low-rank runs/job --rank 4 -o low").exit, 0);
  const std::string with_data = "compress report job.json --set data.validation=train.h5 --samples 20 ";
  const Result result = run(with_data + "runs/job small.packed low -o report.html");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("small.packed  int8-weight"));
  EXPECT_THAT(result.output, HasSubstr("0.00 %"));
  const std::string page = shell("cat report.html").output;
  EXPECT_THAT(page, HasSubstr("<td>low</td>"));
  EXPECT_THAT(page, HasSubstr("<svg"));
  const std::string loss = std::to_string(loss_of("runs/job")).substr(0, 4);
  EXPECT_THAT(result.output, HasSubstr(loss));

  EXPECT_THAT(run("compress report job.json runs/job").errors, HasSubstr("names no data.validation"));
  const Result missing = run(with_data + "nothing -o other.html");
  EXPECT_NE(missing.exit, 0);
  EXPECT_THAT(missing.errors, HasSubstr("nothing"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "other.html"));
}

}  // namespace
}  // namespace tranche
