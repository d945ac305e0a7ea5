// Students that learn from what their teachers said, stored in a file.
#include "tests/support/ranks.h"  // before arrangements, whose names its own would hide

#include "launcher/store_logits.h"
#include "runtime/base/file.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/instruction_path.h"
#include "tests/parity/distilled.h"

namespace tranche {
namespace {

using namespace testing;

constexpr std::size_t vocabulary = 256;

class Stored : public Distilled {
 protected:
  std::filesystem::path store(const SmallJob& job, std::size_t kept, std::size_t count, const std::string& name) {
    const std::filesystem::path output = run.folder() / name;
    Job settled{read_job(run.write_job(job, name), job.changes)};
    settled.settle(count);
    on_ranks(count, [&](Communicator& world) {
      CpuDevice device, host{1, Device::unlimited, Sharing::nothing, Tier::host};
      SwapDisk disk{settled.offload};
      store_logits(settled, TokenFile{settled.data.train}, kept, output, world, {device, host, disk});
    });
    return output;
  }
  SmallJob taught_by(const std::filesystem::path& stored, Numbers numbers) const {
    SmallJob job = student(numbers);
    job.changes.emplace_back("distillation.teacher=null");
    job.changes.push_back("distillation.stored_logits=" + stored.string());
    return job;
  }
};

// The same numbers, and the same memory of who taught. A stored sample had another place in its micro-batch, on which
// the last bits of oneDNN's float32 products depend on AVX2.
TEST_F(Stored, AllLogitsTeachAsTheirTeacherDoes) {
  for (const char* precision : {"bfloat16", "float32"}) {
    const SmallJob online = student(Numbers::float32, {str("distillation.precision=", precision)});
    const std::string expected = run.digest_after(4, online, {});
    const SmallJob job = taught_by(store(online, vocabulary, 1, str(precision, ".logits")), Numbers::float32);
    const std::string taught = run.digest_after(4, job, {});
    if (precision != std::string_view{"float32"} || ops::instruction_path() != ops::InstructionPath::avx2) {
      EXPECT_EQ(taught, expected) << precision;
    }
    expect_equal_in_each(job, 4, taught);
  }
}

TEST_F(Stored, SeveralTeachersAreStoredAsTheirMean) {
  run.digest_after(6, {.architecture = Architecture::llama}, {}, "other");
  const Json teachers{(run.folder() / "teacher").string(), (run.folder() / "other").string()};
  const SmallJob online = student(Numbers::bfloat16, {"distillation.teacher=" + teachers.dump()});
  const SmallJob job = taught_by(store(online, vocabulary, 2, "mean.logits"), Numbers::bfloat16);
  EXPECT_EQ(run.digest_after(3, job, {}), run.digest_after(3, online, {}));
}

TEST_F(Stored, TheGreatestLogitsTeachNearlyAsAllDo) {
  const SmallJob online = student(Numbers::float32);
  run.digest_after(6, online, {});
  const double loss = run.last().loss;
  const std::filesystem::path some = store(online, 16, 1, "some.logits");
  const SmallJob job = taught_by(some, Numbers::float32);
  const std::string expected = run.digest_after(6, job, {});
  EXPECT_NEAR(run.last().loss, loss, 0.02 * loss);
  expect_equal_in_each(job, 6, expected);
  EXPECT_NE(run.digest_after(6, taught_by(store(online, 8, 1, "fewer.logits"), Numbers::float32), {}), expected);
}

TEST_F(Stored, TheFileIsTheSameOnAnyNumberOfRanks) {
  const SmallJob online = student(Numbers::float32, {"zero_optimization.stage=3", "distillation.offload=cpu"});
  const std::string expected = read_small_file(store(student(Numbers::float32), 16, 1, "one.logits"));
  for (const std::size_t count : {2u, 3u})
    EXPECT_TRUE(read_small_file(store(online, 16, count, "several.logits")) == expected) << count;
}

TEST_F(Stored, AResumeIsTaughtByTheSameFileOnly) {
  const SmallJob online = student(Numbers::float32);
  const SmallJob job = taught_by(store(online, 16, 1, "logits"), Numbers::float32);
  const std::string whole = run.digest_after(6, job, {});
  run.digest_after(3, job, {.ranks = 4, .stage = 3}, "resumed");
  EXPECT_EQ(run.digest_after(6, job, {.ranks = 2, .stage = 1}, "resumed"), whole);
  store(online, 8, 1, "logits");
  EXPECT_THROW(run.digest_after(7, job, {}, "resumed"), Error);
}

}  // namespace
}  // namespace tranche
