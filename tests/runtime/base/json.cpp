#include "runtime/base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/temporary_folder.h"

namespace tranche {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Json parse(std::string_view text) { return parse_json(text, "job.json", Exit::job_file); }

// The message of the Error that parsing this text must throw.
std::string refusal(std::string_view text) {
  try {
    parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::job_file);
    return error.what();
  }
  return "accepted";
}

TEST(Json, IsReadWithCommentsInTheOrderOfItsKeys) {
  const Json json = parse("// a job\n{\"z\": 1, /* then */ \"a\": [true, null, \"\\u00e9\"], \"m\": {\"x\": 2.5}}");
  EXPECT_EQ(json.dump(), "{\"z\":1,\"a\":[true,null,\"\u00e9\"],\"m\":{\"x\":2.5}}");
}

TEST(Json, RefusalsNameFileLineAndColumn) {
  EXPECT_THAT(refusal("{\n  \"steps\": 5\n  \"seed\": 1\n}"), StartsWith("job.json:3:8: "));
  EXPECT_THAT(refusal("{\"a\": 1}\n}"), StartsWith("job.json:2:1: "));
  EXPECT_THAT(refusal("steps: 5"), StartsWith("job.json:1:1: "));
  EXPECT_THAT(refusal("{\"a\": 01}"), StartsWith("job.json:1:9: "));
  EXPECT_THAT(refusal("{\"a\": 1"), StartsWith("job.json:1:"));
  EXPECT_THAT(refusal(" \n"), HasSubstr("nothing in it"));
  EXPECT_THAT(refusal("{\"a\": \"\xff\"}"), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal("{\"a\": 1e999}"), HasSubstr("1e999"));
}

TEST(Json, AKeyThatAppearsTwiceIsRefused) {
  EXPECT_THAT(refusal("{\"a\": {\"x\": 1,\n\"x\": 2}}"), StartsWith("job.json:2:3: "));
  EXPECT_THAT(refusal("{\"a\": 1, \"b\": 2, \"a\": 1}"), HasSubstr("\"a\" appears a second time"));
  EXPECT_EQ(parse("{\"a\": {\"x\": 1}, \"b\": {\"x\": 2}}").size(), 2u);
}

TEST(Json, DeepTextIsRefusedAndCannotExhaustTheStack) {
  EXPECT_THAT(refusal(std::string(1'000'000, '[')), HasSubstr("nested more than"));
  EXPECT_NO_THROW(parse(std::string(json_depth, '[') + std::string(json_depth, ']')));
}

TEST(Json, KnowsTheLineOfEveryKey) {
  KeyLines lines;
  parse_json("{\n\"a\":\n1,\n\"b\": {\"c\": [{\"d\": 1}],\n\"e\"\n: 2}}", "job.json", Exit::job_file, &lines);
  EXPECT_EQ(lines, (KeyLines{{"a", 2}, {"b", 4}, {"b.c", 4}, {"b.c.d", 4}, {"b.e", 5}}));
}

TEST(Json, AVocabularyIsReadInAMoment) {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) text += str(i == 0 ? "" : ",", "\"token", i, "\":", i);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(parse(text + "}").size(), 100'000u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{5});
}

TEST(Json, NumbersAreWhatTheySayAndNothingElseIs) {
  EXPECT_EQ(json_as<std::size_t>(parse("5e8")), 500'000'000u);
  EXPECT_EQ(json_as<std::int64_t>(parse("-3.0")), -3);
  EXPECT_EQ(json_as<double>(parse("3")), 3.0);
  EXPECT_EQ(json_as<std::size_t>(parse("18446744073709551615")), 18446744073709551615u);
  EXPECT_FALSE(json_as<std::int64_t>(parse("18446744073709551615")));
  EXPECT_FALSE(json_as<std::int64_t>(parse("1e19")));
  EXPECT_FALSE(json_as<std::size_t>(parse("-1")));
  EXPECT_FALSE(json_as<std::size_t>(parse("2.5")));
  EXPECT_FALSE(json_as<std::size_t>(parse("\"5\"")));
  EXPECT_FALSE(json_as<bool>(parse("1")));
  EXPECT_FALSE(json_as<double>(parse("true")));
}

TEST(Json, MembersSayWhatIsWrongWithThem) {
  const Json json = parse("{\"n_head\": \"four\", \"n_layer\": 2, \"eps\": null}");
  EXPECT_EQ(member<std::size_t>(json, "n_layer", "config.json", Exit::job_file), 2u);
  EXPECT_EQ(member_or<double>(json, "eps", 1e-5, "config.json", Exit::job_file), 1e-5);
  try {
    member<std::size_t>(json, "n_head", "config.json", Exit::data);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::data);
    EXPECT_STREQ(error.what(), "config.json: \"n_head\" must be a whole number of at least 0, found \"four\"");
  }
  EXPECT_THROW(member<double>(json, "width", "config.json", Exit::data), Error);
  EXPECT_THROW(member<double>(parse("[]"), "width", "config.json", Exit::data), Error);
}

TEST(Json, AFileThatCannotBeReadIsNamed) {
  const testing::TemporaryFolder folder;
  const auto message = [&](const std::filesystem::path& file) -> std::string {
    try {
      read_json(file, Exit::job_file);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(message(folder.path() / "missing.json"), HasSubstr("missing.json: cannot be opened: No such file"));
  EXPECT_THAT(message(folder.path()), HasSubstr("this is a folder"));
  EXPECT_EQ(read_json(folder.write("good.json", "{\"a\": 1}"), Exit::job_file)["a"], 1);
}

}  // namespace
}  // namespace tranche
