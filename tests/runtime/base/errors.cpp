#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "runtime/base/shape.h"

namespace tranche {
namespace {

TEST(Errors, NameWhatWasBeingDoneInnermostFirst) {
  const Doing outer{[] { return std::string{"training step 1204"}; }};
  try {
    const Doing inner{[] { return str("gathering ", "blocks.7"); }};
    check(1 == 2, "linear: input has ", 64, " features");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "linear: input has 64 features\n  while gathering blocks.7\n  while training step 1204");
    EXPECT_EQ(error.exit(), Exit::internal);
  }
  EXPECT_EQ(open_frames(), std::vector<std::string>{"training step 1204"});
}

TEST(Errors, DescriptionsAreMadeOnlyOnFailure) {
  bool described = false;
  const Doing frame{[&] {
    described = true;
    return std::string{};
  }};
  check(true, "fine");
  EXPECT_FALSE(described);
}

TEST(Errors, CarryTheExitCode) {
  try {
    ensure(Exit::job_file, false, "no");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::job_file);
  }
}

TEST(Shapes, AreMatricesToo) {
  const Shape shape{2, 3, 5};
  EXPECT_EQ(shape.rows(), 6u);
  EXPECT_EQ(shape.cols(), 5u);
  EXPECT_EQ(str(shape), "[2, 3, 5]");
  EXPECT_THROW((Shape{1, 2, 3, 4, 5}), Error);
}

}  // namespace
}  // namespace tranche
