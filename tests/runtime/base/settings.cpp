#include "runtime/base/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tranche {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

enum class Colour { red, green };

// A job of every kind of key.
struct Example {
  std::size_t steps = 100;
  double rate = 0.1;
  std::array<double, 2> betas{0.9, 0.999};
  std::optional<bool> overlap;
  std::string name = "none";
  Colour colour = Colour::red;
  std::size_t memory = 0;
  Json model;
  std::size_t stage = 0, ripeness = 0;
  bool nested_flag = false;
  Section root;

  Example() {
    root.key("steps", steps).at_least(1).may_change().about("How long.");
    root.key("rate", rate).above(0);
    root.key("betas", betas).from_to_below(0, 1);
    root.key("overlap", overlap);
    root.key("name", name);
    root.choice("colour", colour, {{"Red", Colour::red}, {"Green", Colour::green}});
    root.bytes("memory", memory).may_change();
    root.key("model", model);
    Section& zero = root.section("zero", "How it is divided.");
    zero.key("stage", stage).between(0, 3).about("The stage.");
    zero.no_effect("bucket", 5e8, "nothing is put in buckets");
    zero.no_effect("pin", true, "nothing is put in buckets");
    zero.not_yet("quantized", false, "quantized gathers");
    Section& green = root.section(
        "extra", "For green.", [this] { return colour == Colour::green; }, "\"colour\" is \"Green\"");
    green.key("ripeness", ripeness).when([this] { return stage > 0; }, "\"zero.stage\" is above 0");
  }

  void load(const std::string& text, const std::vector<std::string>& overrides = {}) {
    Source source{.file = "job.json", .lines = {}, .overridden = {}};
    Json json = parse_json(text, "job.json", Exit::job_file, &source.lines);
    for (const std::string& each : overrides) apply_override(each, json, source);
    root.load(json, source);
  }
};

std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    Example{}.load(text, overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::job_file);
    return error.what();
  }
  return "accepted";
}

TEST(Settings, StoreWhatIsGivenAndLeaveTheRest) {
  Example job;
  job.load(R"({"steps": 5e8, "betas": [0.8, 0], "overlap": true, "colour": "green", "memory": "1.5GiB",
               "model": {"anything": [1]}, "zero": {"stage": 2}})");
  EXPECT_EQ(job.steps, 500'000'000u);
  EXPECT_THAT(job.betas, ElementsAre(0.8, 0.0));
  EXPECT_EQ(job.overlap, true);
  EXPECT_EQ(job.colour, Colour::green);
  EXPECT_EQ(job.memory, 3u << 29);
  EXPECT_EQ(job.model.dump(), R"({"anything":[1]})");
  EXPECT_EQ(job.stage, 2u);
  EXPECT_EQ(job.rate, 0.1);
}

TEST(Settings, NullAndAutoCountAsAbsent) {
  Example job;
  job.load(R"({"steps": "auto", "overlap": null, "zero": {"stage": "auto"}, "name": "auto"})");
  EXPECT_EQ(job.steps, 100u);
  EXPECT_EQ(job.name, "none");
  EXPECT_FALSE(job.root.given("steps"));
}

TEST(Settings, AutoIsAValueWhereAChoiceHasTheWord) {
  enum class Device { automatic, cpu } device = Device::cpu;
  Section root{"", ""};
  root.choice<Device>("device", device, {{"auto", Device::automatic}, {"cpu", Device::cpu}});
  root.load(parse_json(R"({"device": "auto"})", "job.json", Exit::job_file), {"job.json", {}, {}});
  EXPECT_EQ(device, Device::automatic);
  EXPECT_TRUE(root.given("device"));
}

TEST(Settings, AnUnknownKeyIsAnErrorWithTheNearestKnownOne) {
  EXPECT_EQ(refusal("{\n\"step\": 3}"), R"(job.json:2: unknown key "step"; did you mean "steps"?)");
  EXPECT_EQ(refusal("{\"zero\": {\n\"stgae\": 3}}"),
            R"(job.json:2: unknown key "zero.stgae"; did you mean "zero.stage"?)");
  EXPECT_EQ(refusal("{\"stage\": 3}"), R"(job.json:1: unknown key "stage"; did you mean "zero.stage"?)");
  EXPECT_EQ(refusal("{\"zero\": {\"xylophone\": 3}}"),
            R"(job.json:1: unknown key "zero.xylophone"; "zero" has stage, bucket, pin and quantized)");
  EXPECT_THAT(refusal("{\"xylophone\": 3}"), Not(HasSubstr("did you mean")));
  EXPECT_EQ(refusal("{}", {"zero.stag=1"}),
            R"(--set zero.stag=1: unknown key "zero.stag"; did you mean "zero.stage"?)");
}

TEST(Settings, AWrongValueNamesLinePathAndWhatIsExpected) {
  EXPECT_EQ(refusal("{\"zero\":\n{\"stage\": 4}}"),
            R"(job.json:2: "zero.stage" must be a whole number from 0 to 3, found 4)");
  EXPECT_EQ(refusal(R"({"steps": 0})"), R"(job.json:1: "steps" must be a whole number of at least 1, found 0)");
  EXPECT_EQ(refusal(R"({"steps": 2.5})"), R"(job.json:1: "steps" must be a whole number of at least 1, found 2.5)");
  EXPECT_EQ(refusal(R"({"steps": -5})"), R"(job.json:1: "steps" must be a whole number of at least 1, found -5)");
  EXPECT_EQ(refusal(R"({"rate": "fast"})"), R"(job.json:1: "rate" must be a number above 0, found "fast")");
  EXPECT_EQ(refusal(R"({"rate": 0})"), R"(job.json:1: "rate" must be a number above 0, found 0)");
  EXPECT_EQ(
      refusal(R"({"betas": [0.9, 1]})"),
      R"(job.json:1: "betas" must be a list of 2 values, each a number of at least 0 and below 1, found [0.9,1])");
  EXPECT_THAT(refusal(R"({"betas": [0.9]})"), HasSubstr("a list of 2 values"));
  EXPECT_EQ(refusal(R"({"colour": "blue"})"), R"(job.json:1: "colour" must be "Red" or "Green", found "blue")");
  EXPECT_EQ(refusal(R"({"overlap": 1})"), R"(job.json:1: "overlap" must be true or false, found 1)");
  EXPECT_EQ(refusal(R"({"zero": 3})"), R"(job.json:1: "zero" must be an object, { ... }, found 3)");
  EXPECT_THAT(refusal(R"({"memory": "5 parsec"})"), HasSubstr("a number of bytes"));
  EXPECT_THAT(refusal(R"({"memory": "1.2.3GB"})"), HasSubstr("a number of bytes"));
  EXPECT_EQ(refusal("[]"), "job.json: the job must be an object, { ... }, found []");
}

TEST(Settings, TheCommandLineOverridesTheFile) {
  Example job;
  job.load(R"({"steps": 5, "zero": {"stage": 1}})",
           {"zero.stage=2", "name=train.h5", "betas=[0.5,0.6]", "model.deep.key=7", "overlap=false", "name=2024"});
  EXPECT_EQ(job.stage, 2u);
  EXPECT_EQ(job.name, "2024");
  EXPECT_THAT(job.betas, ElementsAre(0.5, 0.6));
  EXPECT_EQ(job.model.dump(), R"({"deep":{"key":7}})");
  EXPECT_EQ(job.overlap, false);
  EXPECT_EQ(refusal("{}", {"zero.stage=9"}),
            R"(--set zero.stage=9: "zero.stage" must be a whole number from 0 to 3, found 9)");
  EXPECT_THAT(refusal(R"({"steps": 5})", {"steps.x=9"}), HasSubstr("\"steps\" is 5, which has no keys"));
  for (const char* bad : {"steps", "=5", ".steps=5", "zero..stage=1"}) {
    Json json = Json::object();
    Source source;
    EXPECT_THROW(apply_override(bad, json, source), Error) << bad;
  }
}

TEST(Settings, KeysWithoutEffectAreListedOnceForEachReason) {
  Example job;
  job.load(R"({"zero": {"bucket": 1e6, "pin": true}})");
  EXPECT_THAT(job.root.without_effect(),
              ElementsAre("zero.bucket, zero.pin have no effect here: nothing is put in buckets"));
  Example silent;
  silent.load("{}");
  EXPECT_THAT(silent.root.without_effect(), ElementsAre());
}

TEST(Settings, AFeatureThatIsMissingIsAnErrorOnlyWhenSwitchedOn) {
  EXPECT_EQ(refusal(R"({"zero": {"quantized": false}})"), "accepted");
  EXPECT_EQ(
      refusal(R"({"zero": {"quantized": true}})"),
      R"(job.json:1: "zero.quantized" is true: not supported yet (quantized gathers); leave the key out or write false)");
}

TEST(Settings, WhatAnotherKeySwitchesOffMayNotBeGiven) {
  EXPECT_EQ(refusal(R"({"extra": {"ripeness": 1}})"),
            R"(job.json:1: "extra" has no effect unless "colour" is "Green")");
  EXPECT_EQ(refusal(R"({"extra": {"ripeness": 1}, "colour": "Green"})"),
            R"(job.json:1: "extra.ripeness" has no effect unless "zero.stage" is above 0; leave it out)");
  EXPECT_EQ(refusal(R"({"extra": {"ripeness": 1}, "colour": "Green", "zero": {"stage": 1}})"), "accepted");
}

TEST(Settings, TheEffectiveValuesLoadToTheSame) {
  Example first, second, third;
  first.load(R"({"steps": 7, "rate": 0.30000000000000004, "colour": "Green", "zero": {"stage": 3, "pin": true},
                "memory": "1KiB", "extra": {"ripeness": 2}})",
             {"name=x"});
  second.load(first.root.values().dump());
  EXPECT_EQ(first.root.values(), second.root.values());
  EXPECT_EQ(second.rate, 0.30000000000000004);
  EXPECT_EQ(second.ripeness, 2u);
  third.load(first.root.annotated());
  EXPECT_EQ(first.root.values(), third.root.values());
}

TEST(Settings, TheAnnotatedJobSaysWhereEachValueCameFrom) {
  Example job;
  job.load(R"({"steps": 7, "zero": {"pin": true}})", {"zero.stage=2"});
  job.root.derived("rate", "the moon");
  EXPECT_EQ(job.root.annotated(), R"({
  "steps": 7,   // file
  "rate": 0.1,   // derived from the moon
  "betas": [0.9,0.999],   // default
  "overlap": null,   // default
  "name": "none",   // default
  "colour": "Red",   // default
  "memory": 0,   // default
  "model": null,   // default
  "zero": {
    "stage": 2,   // --set
    "pin": true   // no effect: nothing is put in buckets
  }
}
)");
}

TEST(Settings, DifferencesAreThoseThatChangeTheNumbers) {
  Example then, now;
  then.load(R"({"steps": 7, "rate": 0.5})");
  now.load(R"({"steps": 9, "rate": 0.25, "memory": 5, "zero": {"stage": 1}})");
  EXPECT_THAT(now.root.differences(then.root.values()),
              ElementsAre("\"rate\" was 0.5 and is now 0.25", "\"zero.stage\" was 0 and is now 1"));
  EXPECT_THAT(then.root.differences(then.root.values()), ElementsAre());
}

TEST(Settings, TheReferenceListsEveryKey) {
  const std::string page = Example{}.root.reference();
  EXPECT_THAT(page, HasSubstr("| `steps` | a whole number of at least 1 | `100` | How long. |"));
  EXPECT_THAT(page, HasSubstr("## `zero`\n\nHow it is divided.\n\n"));
  EXPECT_THAT(page, HasSubstr("- `bucket`, `pin`: nothing is put in buckets."));
  EXPECT_THAT(page, HasSubstr("- `quantized` (off: `false`): quantized gathers."));
  EXPECT_THAT(page, HasSubstr("## `extra` if \"colour\" is \"Green\""));
}

TEST(Settings, AKeyIsDeclaredOnce) {
  Section section;
  std::size_t a = 0;
  section.key("a", a);
  EXPECT_THROW(section.key("a", a), Error);
}

}  // namespace
}  // namespace tranche
