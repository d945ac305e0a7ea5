// A student and its teacher, small ones, in any arrangement.
#pragma once

#include "tests/parity/arrangements.h"

namespace tranche::testing {

// A student of one block; the teacher has two, and computes in bfloat16.
class Distilled : public ::testing::Test {
 protected:
  SmallRun run;
  const std::string teacher = run.digest_after(15, {}, {}, "teacher");

  SmallJob student(Numbers numbers, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> changes{"distillation.teacher=" + (run.folder() / "teacher").string(),
                                     "distillation.alpha=0.7", "distillation.temperature=2", "model.n_layer=1"};
    changes.insert(changes.end(), more.begin(), more.end());
    return {.numbers = numbers, .changes = changes};
  }
  // Changes of a student that is what its teacher is.
  std::vector<std::string> like_the_teacher() const {
    return {"model.n_layer=2",
            "model.resid_pdrop=0",
            "model.attn_pdrop=0",
            "model.embd_pdrop=0",
            "distillation.precision=float32",
            "checkpoint.start_from=" + (run.folder() / "teacher").string()};
  }
  void expect_equal_in_each(const SmallJob& job, std::size_t count, const std::string& expected) {
    for (const Arrangement& each : some_arrangements)
      EXPECT_EQ(run.digest_after(count, job, each), expected) << name_of(each);
  }
  void expect_equal_everywhere(const SmallJob& job, std::size_t count) {
    const std::string expected = run.digest_after(count, job, {});
    for (Arrangement each : some_arrangements) {
      EXPECT_EQ(run.digest_after(count, job, each), expected) << name_of(each);
      if (each.stage != 3) continue;
      SmallJob offloaded = job;
      offloaded.changes.emplace_back("distillation.offload=cpu");
      EXPECT_EQ(run.digest_after(count, offloaded, each), expected) << name_of(each) << ", the teacher in host memory";
    }
  }
};

}  // namespace tranche::testing
