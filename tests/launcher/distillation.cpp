// Students, from the job file to what outlives their teachers.
#include <gmock/gmock.h>

#include "tests/launcher/compression.h"

namespace tranche {
namespace {

using ::testing::HasSubstr;

class Students : public Compression {};

TEST_F(Students, AStudentIsTrainedByATeacherAndOutlivesIt) {
  write_job();
  ASSERT_EQ(run("train job.json --set checkpoint.directory=teacher").exit, 0);
  const std::string student = "train job.json --set checkpoint.directory=student --set distillation.teacher=teacher";
  const Result trained = run(student + " --set model.n_layer=2");
  EXPECT_EQ(trained.exit, 0) << trained.errors;
  EXPECT_EQ(shell("rm -rf teacher").exit, 0);
  const Result loss =
      run("evaluate job.json --set model.n_layer=2 --set data.validation=train.h5 --samples 4 --checkpoint student");
  EXPECT_EQ(loss.exit, 0) << loss.errors;
  EXPECT_EQ(run("generate student --prompt a --tokens 4").exit, 0);
  const Result gone = run(student + " --set model.n_layer=2 --resume --set steps=3");
  EXPECT_EQ(gone.exit, 5);
  EXPECT_THAT(gone.errors, HasSubstr("reading the teacher teacher"));
}

TEST_F(Students, ATeacherThatCannotTeachIsRefusedBeforeAnythingIsWritten) {
  write_job();
  ASSERT_EQ(run("train job.json --set checkpoint.directory=teacher").exit, 0);
  const auto refusal = [&](const std::string& changes) {
    const Result result = run("train job.json --set checkpoint.directory=student " + changes);
    EXPECT_NE(result.exit, 0) << changes;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "student"));
    return result.errors;
  };
  const std::string taught = "--set distillation.teacher=teacher ";
  const std::string reduction = "--set compression_training.layer_reduction.";
  EXPECT_THAT(refusal("--set distillation.teacher=nobody"), HasSubstr("nobody"));
  for (const char* teacher : {"[]", "[3]", "{}", "true"})
    EXPECT_THAT(refusal(str("--set distillation.teacher=", teacher)),
                HasSubstr("must be a directory, or a list of them"))
        << teacher;
  EXPECT_THAT(refusal(R"(--set distillation.teacher='["teacher", "nobody"]')"), HasSubstr("nobody"));
  EXPECT_THAT(refusal(taught + "--set model.vocab_size=300"), HasSubstr("a teacher of the same tokens is needed"));
  EXPECT_THAT(refusal(taught + "--set data.sequence_length=80 --set model.n_positions=128"),
              HasSubstr("longer than the model's 64 positions"));
  EXPECT_THAT(refusal(taught + "--set distillation.alpha=1.5"), HasSubstr("from 0 to 1"));
  EXPECT_THAT(refusal(taught + "--set distillation.temperature=0"), HasSubstr("above 0"));
  EXPECT_THAT(refusal(taught + "--set distillation.offload=cpu"), HasSubstr("stage\" must be 3"));
  EXPECT_THAT(refusal(taught + "--set distillation.tempreature=2"), HasSubstr("temperature"));
  EXPECT_THAT(
      refusal(reduction + "enabled=true " + reduction + "keep_number_layer=1 " + reduction + "teacher_layer=[0]"),
      HasSubstr("takes blocks of a trained model"));
  EXPECT_THAT(refusal(taught + reduction + "enabled=true " + reduction + "keep_number_layer=2"),
              HasSubstr("but the model has 1 blocks"));
  EXPECT_THAT(refusal(taught + reduction + "enabled=true " + reduction + "keep_number_layer=1 " + reduction +
                      "teacher_layer=[0,1]"),
              HasSubstr("must name 1 blocks"));
  EXPECT_THAT(refusal("--set checkpoint.start_from=nowhere"), HasSubstr("nowhere"));
}

TEST_F(Students, HiddenStatesThatCannotBeComparedAreRefusedBeforeAnythingIsWritten) {
  write_job();
  ASSERT_EQ(run("train job.json --set checkpoint.directory=teacher").exit, 0);
  const auto refusal = [&](const std::string& pairs, const std::string& teacher = R"('"teacher"')") {
    const Result result =
        run("train job.json --set checkpoint.directory=student --set distillation.teacher=" + teacher +
            " --set distillation.hidden_states.pairs=" + pairs);
    EXPECT_EQ(result.exit, 3) << pairs;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "student"));
    return result.errors;
  };
  EXPECT_THAT(refusal("3"), HasSubstr("must be a list of pairs, found 3"));
  EXPECT_THAT(refusal("[3]"), HasSubstr("one of the teacher, such as [1, 3], found 3"));
  EXPECT_THAT(refusal("[[0,0,0]]"), HasSubstr("found [0,0,0]"));
  EXPECT_THAT(refusal("[[0,-1]]"), HasSubstr("must hold numbers of blocks, found -1"));
  EXPECT_THAT(refusal("[[7,0]]"), HasSubstr("block 7 of the student, which has 1"));
  EXPECT_THAT(refusal("[[0,7]]"), HasSubstr("block 7 of the teacher"));
  EXPECT_THAT(refusal("[[0,0]]", "null"), HasSubstr("needs one teacher"));
  EXPECT_THAT(refusal("[[0,0]]", R"('["teacher", "teacher"]')"), HasSubstr("needs one teacher"));
  EXPECT_THAT(refusal("[[0,0]] --set model.n_embd=64"), HasSubstr("hidden_states.projection\" to true"));
  EXPECT_THAT(refusal("[[0,0]] --set distillation.hidden_states.weight=0"), HasSubstr("above 0"));
}

TEST_F(Students, AttentionThatCannotBeComparedIsRefusedBeforeAnythingIsWritten) {
  write_job();
  ASSERT_EQ(run("train job.json --set checkpoint.directory=teacher").exit, 0);
  const auto refusal = [&](const std::string& attention) {
    const Result result =
        run("train job.json --set checkpoint.directory=student --set distillation.teacher=teacher "
            "--set distillation.attention='" +
            attention + "'");
    EXPECT_EQ(result.exit, 3) << attention;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "student"));
    return result.errors;
  };
  EXPECT_THAT(refusal(R"({"pairs": [[0, 7]]})"), HasSubstr("block 7 of the teacher"));
  EXPECT_THAT(refusal(R"({"pairs": [[0, 0]], "heads": 5})"), HasSubstr("which does not divide the"));
  for (const char* of : {R"("keys")", "[]", R"(["kyes"])", R"(["keys", "keys"])", "[1]"})
    EXPECT_THAT(refusal(str(R"({"pairs": [[0, 0]], "of": )", of, "}")), HasSubstr("each once, found")) << of;
}

TEST_F(Students, AStudentIsTaughtByWhatItsTeacherSaid) {
  write_job();
  ASSERT_EQ(run("train job.json --set checkpoint.directory=teacher").exit, 0);
  const Result stored = run("store-logits job.json --set distillation.teacher=teacher --top 16 -o some.logits");
  ASSERT_EQ(stored.exit, 0) << stored.errors;
  EXPECT_THAT(stored.output, HasSubstr("some.logits: the 16 greatest logits"));
  EXPECT_EQ(shell("rm -rf teacher").exit, 0);
  const std::string student =
      "train job.json --set checkpoint.directory=student --set distillation.stored_logits=some.logits";
  const Result trained = run(student);
  EXPECT_EQ(trained.exit, 0) << trained.errors;
  EXPECT_EQ(run("plan job.json --set distillation.stored_logits=some.logits").exit, 0);
  EXPECT_EQ(run(student + " --resume --set steps=3").exit, 0);
  loss_of("student");
}

TEST_F(Students, LogitsThatCannotTeachAreRefusedBeforeAnythingIsWritten) {
  write_job();
  ASSERT_EQ(run("train job.json --set checkpoint.directory=teacher").exit, 0);
  const std::string store = "store-logits job.json -o some.logits ", taught = "--set distillation.teacher=teacher ";
  const auto unstored = [&](const std::string& how, int exit) {
    const Result result = run(store + how);
    EXPECT_EQ(result.exit, exit) << how;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "some.logits"));
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "some.logits.partial"));
    return result.errors;
  };
  EXPECT_THAT(unstored("", 3), HasSubstr("names no teacher"));
  EXPECT_THAT(unstored(taught + "--top 0", 2), HasSubstr("expected 1 to 256"));
  EXPECT_THAT(unstored(taught + "--top 257", 2), HasSubstr("expected 1 to 256"));
  EXPECT_THAT(unstored(taught + "--set data.train=nowhere.h5", 4), HasSubstr("nowhere.h5"));
  ASSERT_EQ(run(store + taught).exit, 0);

  const auto refusal = [&](const std::string& changes, int exit) {
    const Result result = run("train job.json --set checkpoint.directory=student " + changes);
    EXPECT_EQ(result.exit, exit) << changes;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "student"));
    return result.errors;
  };
  const std::string stored = "--set distillation.stored_logits=some.logits ";
  EXPECT_THAT(refusal("--set distillation.stored_logits=nowhere", 4), HasSubstr("there is no such file of logits"));
  EXPECT_THAT(refusal("--set distillation.stored_logits=train.h5", 4), HasSubstr("is not a file of logits"));
  EXPECT_THAT(refusal(stored + taught, 3), HasSubstr("name one of the two"));
  EXPECT_THAT(refusal(stored + "--set distillation.offload=cpu --set zero_optimization.stage=3", 3),
              HasSubstr("is for a teacher that computes"));
  EXPECT_THAT(refusal(stored + "--set distillation.hidden_states.pairs=[[0,0]]", 3), HasSubstr("needs one teacher"));
  EXPECT_THAT(refusal(stored + "--set model.vocab_size=300", 4), HasSubstr("the student's is of 300"));
  EXPECT_THAT(refusal(stored + "--set data.sequence_length=8", 4), HasSubstr("\"data.sequence_length\" is 8"));
  folder.write("other.txt", std::string(4000, 'x'));
  ASSERT_EQ(run("tokenize --tokenizer byte -o other.h5 other.txt").exit, 0);
  EXPECT_THAT(refusal(stored + "--set data.train=other.h5", 4), HasSubstr("of other tokens"));
}

TEST_F(Students, ExitsAndPeersThatCannotBeAreRefusedBeforeAnythingIsWritten) {
  write_job();
  const auto refusal = [&](const std::string& changes) {
    const Result result = run("train job.json --set model.n_layer=2 --set distillation." + changes);
    EXPECT_EQ(result.exit, 3) << changes;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "runs"));
    return result.errors;
  };
  EXPECT_THAT(refusal("exits.blocks=3"), HasSubstr("must be a list of blocks, found 3"));
  EXPECT_THAT(refusal("exits.blocks=[0.5]"), HasSubstr("must hold numbers of blocks, found 0.5"));
  EXPECT_THAT(refusal("exits.blocks=[1]"), HasSubstr("an exit is before the last one"));
  EXPECT_THAT(refusal("exits.blocks=[0,0]"), HasSubstr("names block 0 twice"));
  EXPECT_THAT(refusal("exits.weight=0"), HasSubstr("above 0"));
  const auto peer = [](const std::string& vocabulary, const std::string& positions) {
    return R"(peer='{"model_type": "gpt2", "n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": )" + positions +
           R"(, "vocab_size": )" + vocabulary + "}'";
  };
  EXPECT_THAT(refusal("peer=3"), HasSubstr("must be a Hugging Face configuration"));
  EXPECT_THAT(refusal("peer='{}'"), HasSubstr("model_type"));
  EXPECT_THAT(refusal(peer("300", "64")), HasSubstr("a peer of the same tokens is needed"));
  EXPECT_THAT(refusal(peer("256", "4")), HasSubstr("longer than the 4 positions"));
  EXPECT_THAT(refusal(peer("256", "64") + " --set distillation.teacher=teacher"), HasSubstr("name one of the three"));
}

TEST_F(Students, AModelOutlivesItsPeer) {
  write_job();
  const Result trained =
      run(R"(train job.json --set distillation.peer='{"model_type": "gpt2", "n_layer": 1, "n_head": 2,
                                "n_embd": 16, "n_positions": 64, "vocab_size": 256}')");
  ASSERT_EQ(trained.exit, 0) << trained.errors;
  loss_of("runs/job");
  EXPECT_EQ(run("generate runs/job --prompt a --tokens 4").exit, 0);
  EXPECT_EQ(run("compress quantize runs/job --scheme float16 -o small.packed").exit, 0);
}

// What was trained beside the model is in its checkpoint alone.
TEST_F(Students, AStudentWithProjectionsIsEvaluatedPackedAndRemadeWithoutThem) {
  write_job();
  ASSERT_EQ(run("train job.json --set checkpoint.directory=teacher").exit, 0);
  const std::string wide = " --set model.n_embd=64 ";
  const Result trained =
      run("train job.json --set checkpoint.directory=student --set distillation.teacher=teacher "
          "--set distillation.hidden_states.pairs=[[0,0]] --set distillation.hidden_states.projection=true" +
          wide);
  ASSERT_EQ(trained.exit, 0) << trained.errors;
  EXPECT_EQ(shell("rm -rf teacher").exit, 0);
  EXPECT_THAT(run("checkpoint inspect student").output, HasSubstr("distillation.hidden_states.0.weight"));
  const double loss = loss_of("student" + wide);
  for (const char* command : {"compress quantize student --scheme float16 -o student.packed",
                              "compress prune-structure student --heads 0.5 -o remade"}) {
    const Result result = run(command);
    EXPECT_EQ(result.exit, 0) << command << result.errors;
  }
  EXPECT_NEAR(loss_of("student.packed" + wide), loss, 0.01 * loss);
  EXPECT_THAT(run("checkpoint inspect remade").output, ::testing::Not(HasSubstr("distillation")));
}

TEST_F(Students, RelationsThatCannotBeComparedAreRefusedBeforeAnythingIsWritten) {
  write_job();
  ASSERT_EQ(run("train job.json --set checkpoint.directory=teacher").exit, 0);
  const auto refusal = [&](const std::string& relations, const std::string& more = "") {
    const Result result =
        run("train job.json --set checkpoint.directory=student --set distillation.teacher=teacher "
            "--set distillation.relations='" +
            relations + "' " + more);
    EXPECT_EQ(result.exit, 3) << relations;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "student"));
    return result.errors;
  };
  EXPECT_THAT(refusal(R"({"pairs": [[0, 7]]})"), HasSubstr("block 7 of the teacher"));
  EXPECT_THAT(refusal(R"({"pairs": [[0, 0]], "angle": 0, "distance": 0})"), HasSubstr("give one of them a weight"));
  EXPECT_THAT(refusal(R"({"pairs": [[0, 0]], "angle": -1})"), HasSubstr("at least 0"));
  EXPECT_THAT(refusal(R"({"pairs": [[0, 0]]})", "--set train_batch_size=8 --set train_micro_batch_size_per_gpu=2"),
              HasSubstr("which takes three of them"));
}

TEST_F(Students, BlocksThatTheTeacherHasNotAreAnError) {
  write_job();
  ASSERT_EQ(run("train job.json --set checkpoint.directory=teacher").exit, 0);
  const std::string reduction = " --set compression_training.layer_reduction.";
  const Result result =
      run("train job.json --set checkpoint.directory=student --set distillation.teacher=teacher" + reduction +
          "enabled=true" + reduction + "keep_number_layer=1" + reduction + "teacher_layer=[4]");
  EXPECT_EQ(result.exit, 5);
  EXPECT_THAT(result.errors, HasSubstr("it has no tensor blocks.4."));
}

}  // namespace
}  // namespace tranche
