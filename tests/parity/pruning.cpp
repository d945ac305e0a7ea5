// Jobs that prune while they train: every arrangement, the same bits; and the masks are those that a sort gives.
#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <map>
#include <set>

#include "runtime/checkpoint/reader.h"
#include "tests/parity/arrangements.h"

namespace tranche {
namespace {

using namespace testing;
using ::testing::HasSubstr;

const std::string pruning = "compression_training.sparse_pruning.", shared = pruning + "shared_parameters.";

std::string groups(const std::string& all) { return pruning + "different_groups=" + all; }

// From the second update to the eighth, every other one.
std::vector<std::string> gradually(const std::string& groups_text) {
  return {shared + "enabled=true", shared + "schedule_offset=2", shared + "schedule_offset_end=8",
          shared + "schedule_offset_stride=2", groups(groups_text)};
}
const std::string two_groups = R"({"mlp": {"params": {"dense_ratio": 0.3}, "modules": ["mlp"]},
                                   "rest": {"params": {"dense_ratio": 0.5}}})";

SmallJob layerwise(Numbers numbers) { return {.numbers = numbers, .changes = gradually(two_groups)}; }
SmallJob global(Numbers numbers) {
  SmallJob job = layerwise(numbers);
  job.changes.push_back(shared + "scope=global");
  return job;
}
SmallJob two_of_four(Numbers numbers) {
  SmallJob job{.numbers = numbers, .changes = gradually(R"({"all": {"params": {}}})")};
  job.changes.push_back(shared + "block_pattern=2:4");
  return job;
}

const std::vector<Arrangement> arrangements{
    {.ranks = 2, .stage = 0},
    {.ranks = 1, .stage = 0, .recompute = true, .threads = 2},
    {.ranks = 2, .stage = 3, .recompute = true, .threads = 2},
    {.ranks = 3, .stage = 2, .bucket = 1000, .offload = Offload::partly_to_host},
    {.ranks = 4, .stage = 3, .bucket = 1000, .offload = Offload::slices_to_host},
    {.ranks = 4, .stage = 3, .offload = Offload::slices_to_disk},
    {.ranks = 4, .stage = 1, .offload = Offload::to_disk}};

void expect_equal_everywhere(const SmallJob& job, std::size_t steps) { expect_equal_in(arrangements, job, steps); }

TEST(PruningParity, DigestsAreEqualByLayer) { expect_equal_everywhere(layerwise(Numbers::float32), 12); }
TEST(PruningParity, DigestsAreEqualWithAGlobalThreshold) { expect_equal_everywhere(global(Numbers::bfloat16), 12); }
TEST(PruningParity, DigestsAreEqualWithTwoOfFour) { expect_equal_everywhere(two_of_four(Numbers::float32), 9); }
TEST(PruningParity, DigestsAreEqualWithMomentumOfSgdAndQuantizedWeights) {
  SmallJob job = global(Numbers::float32);
  const std::string quantization = "compression_training.weight_quantization.";
  job.changes.insert(job.changes.end(),
                     {R"(optimizer={"type": "SGD", "params": {"lr": 0.05, "momentum": 0.9}})",
                      quantization + "shared_parameters.enabled=true",
                      quantization + R"(different_groups={"all": {"params": {"start_bits": 4, "target_bits": 4}}})"});
  expect_equal_everywhere(job, 10);
}
// By scores that follow the updates, with penalties beside them.
SmallJob by_movement(Numbers numbers) {
  SmallJob job{
      .numbers = numbers,
      .changes = gradually(R"({"mlp": {"params": {"dense_ratio": 0.3, "l1_penalty": 0.001}, "modules": ["mlp"]},
                                        "rest": {"params": {"dense_ratio": 0.5, "l2_penalty": 0.01}}})")};
  job.changes.push_back(shared + "method=topk");
  return job;
}
TEST(PruningParity, DigestsAreEqualByMovement) { expect_equal_everywhere(by_movement(Numbers::float32), 12); }
TEST(PruningParity, DigestsAreEqualByMovementInBfloat16WithAGlobalThreshold) {
  SmallJob job = by_movement(Numbers::bfloat16);
  job.changes.push_back(shared + "scope=global");
  expect_equal_everywhere(job, 10);
}
TEST(PruningParity, DigestsAreEqualByMovementAfterAResume) {
  expect_equal_after_resumes(by_movement(Numbers::float32), {1, 5, 9});
}

// Three rounds, after four updates and three more each, back to what one update gave.
SmallJob rewinding(Numbers numbers, const char* what, const char* to = "1") {
  return {.numbers = numbers,
          .changes = {shared + "enabled=true", shared + "schedule_offset=4", shared + "rewinding.rounds=3",
                      shared + "rewinding.to=" + to, shared + "rewinding.what=" + what, groups(two_groups)}};
}
TEST(RewindingParity, DigestsAreEqualOverArrangements) {
  expect_equal_everywhere(rewinding(Numbers::float32, "weights"), 14);
  expect_equal_everywhere(rewinding(Numbers::bfloat16, "weights", "0"), 10);
  expect_equal_everywhere(rewinding(Numbers::float32, "learning_rate"), 9);
}
TEST(RewindingParity, DigestsAreEqualAfterAResumeInAnyRound) {
  expect_equal_after_resumes(rewinding(Numbers::float32, "weights"), {1, 4, 6, 10});
  expect_equal_after_resumes(rewinding(Numbers::float32, "weights", "0"), {3, 5});
}
TEST(RewindingParity, IsSeenByTheDigest) {
  SmallRun run;
  const std::string weights = run.digest_after(6, rewinding(Numbers::float32, "weights"), {});
  EXPECT_NE(run.digest_after(6, rewinding(Numbers::float32, "weights", "0"), {}), weights);
  EXPECT_NE(run.digest_after(6, rewinding(Numbers::float32, "learning_rate"), {}), weights);
}

TEST(PruningParity, DigestsAreEqualWhereStepsAreSkipped) { expect_equal_everywhere(layerwise(Numbers::float16), 14); }

TEST(PruningParity, DigestsAreEqualAfterAResumeInTheMiddleOfTheSchedule) {
  expect_equal_after_resumes(global(Numbers::float32), {1, 5, 9});
}

// The digest sees which weights go, and how many.
TEST(PruningParity, IsSeenByTheDigest) {
  SmallRun run;
  const std::string expected = run.digest_after(4, layerwise(Numbers::float32), {});
  for (const char* change : {"scope=global", "method=topk", "schedule_offset_end=9", "schedule_offset_stride=1",
                             R"(excluded_modules=["mlp.up"])"}) {
    SmallJob job = layerwise(Numbers::float32);
    job.changes.push_back(shared + change);
    EXPECT_NE(run.digest_after(4, job, {}), expected) << change;
  }
}

// ---- What the masks are ------------------------------------------------------------------------------------------

using Arrays = std::map<std::string, std::vector<float>>;  // by tensor

class Masks : public ::testing::Test {
 protected:
  SmallRun run;

  // Of every weight, in the order of the model's units.
  Arrays read(const std::string& directory, const std::string& kind) {
    const std::filesystem::path folder = checkpoint::resolve(run.folder() / directory);
    const checkpoint::Manifest manifest = checkpoint::read_manifest(folder);
    checkpoint::Reader reader{folder, manifest};
    Arrays arrays;
    for (const checkpoint::UnitLayout& unit : manifest.units)
      for (const checkpoint::StateTensor& tensor : unit.tensors) {
        std::vector<float>& values = arrays[tensor.name];
        values.resize(tensor.shape.size());
        reader.read(std::vector<checkpoint::TensorPart>{{kind, tensor.name, 0, values}});
        order_.push_back(tensor.name);
        if (tensor.shape.dimensions() == 2) weights_.insert(tensor.name);
      }
    return arrays;
  }
  // One-shot after three updates: beside it, what a run without pruning has then.
  void train(const std::vector<std::string>& more) {
    run.digest_after(3, {}, {}, "dense");
    SmallJob job{.changes = {shared + "enabled=true", shared + "schedule_offset=3"}};
    job.changes.insert(job.changes.end(), more.begin(), more.end());
    run.digest_after(3, job, {.ranks = 4, .stage = 3}, "sparse");
    dense = read("dense", "parameters");
    order_.clear();
    sparse = read("sparse", "parameters");
    pruned = read("sparse", "pruned");
  }
  // expected: which of the dense run's elements went. All others are as they were.
  void expect_masks(const std::function<bool(const std::string&, std::size_t)>& expected) const {
    for (const auto& [name, values] : dense)
      for (std::size_t i = 0; i < values.size(); ++i) {
        const bool goes = expected(name, i);
        ASSERT_EQ(pruned.at(name)[i], goes ? 1.0f : 0.0f) << name << "[" << i << "]";
        ASSERT_EQ(sparse.at(name)[i], goes ? 0.0f : values[i]) << name << "[" << i << "]";
      }
  }
  bool is_weight(const std::string& name) const { return weights_.contains(name); }

  // The elements that a stable sort of these tensors' magnitudes puts first.
  std::map<std::string, std::vector<bool>> smallest(const std::vector<std::string>& names, double sparsity) const {
    struct Element {
      float magnitude;
      std::string name;
      std::size_t i;
    };
    std::vector<Element> all;
    std::map<std::string, std::vector<bool>> gone;
    for (const std::string& name : names) {
      gone[name].resize(dense.at(name).size());
      for (std::size_t i = 0; i < dense.at(name).size(); ++i) all.push_back({std::fabs(dense.at(name)[i]), name, i});
    }
    std::ranges::stable_sort(all, {}, &Element::magnitude);
    const auto count = static_cast<std::size_t>(std::llrint(sparsity * static_cast<double>(all.size())));
    for (std::size_t k = 0; k < count; ++k) gone[all[k].name][all[k].i] = true;
    return gone;
  }

  Arrays dense, sparse, pruned;
  std::vector<std::string> order_;
  std::set<std::string> weights_;
};

TEST_F(Masks, AreOfTheSmallestMagnitudesOfEachTensor) {
  train({groups(R"({"all": {"params": {"dense_ratio": 0.37}}})")});
  std::map<std::string, std::map<std::string, std::vector<bool>>> gone;
  for (const auto& [name, values] : dense)
    if (is_weight(name)) gone[name] = smallest({name}, 1 - 0.37);
  expect_masks([&](const std::string& name, std::size_t i) { return is_weight(name) && gone[name][name][i]; });
}

TEST_F(Masks, AreOfTheSmallestMagnitudesOfAGroupTogether) {
  train({groups(R"({"all": {"params": {"dense_ratio": 0.2}, "modules": ["mlp", "attention"]}})"),
         shared + "scope=global", shared + R"(excluded_modules=["blocks.0.mlp.up"])"});
  std::vector<std::string> names;
  for (const std::string& name : order_)
    if (is_weight(name) && !name.starts_with("blocks.0.mlp.up") && std::ranges::find(names, name) == names.end() &&
        (name.find("mlp") != std::string::npos || name.find("attention") != std::string::npos))
      names.push_back(name);
  EXPECT_GE(names.size(), 5u);
  auto gone = smallest(names, 1 - 0.2);
  expect_masks([&](const std::string& name, std::size_t i) { return gone.contains(name) && gone[name][i]; });
}

TEST_F(Masks, LeaveTwoOfEachFour) {
  train({groups(R"({"all": {"params": {}}})"), shared + "block_pattern=2:4"});
  expect_masks([&](const std::string& name, std::size_t i) {
    if (!is_weight(name)) return false;
    const std::vector<float>& values = dense.at(name);
    std::size_t before = 0;
    for (std::size_t j = i / 4 * 4; j < i / 4 * 4 + 4; ++j)
      before += std::fabs(values[j]) < std::fabs(values[i]) || (std::fabs(values[j]) == std::fabs(values[i]) && j < i);
    return before < 2;
  });
}

// Rounds end after five and seven updates: what is left is what it was after three, with fresh moments.
TEST_F(Masks, LeaveWeightsAsTheyWereWhereTheyAreRewound) {
  const SmallJob job{.changes = {shared + "enabled=true", shared + "schedule_offset=5", shared + "rewinding.rounds=2",
                                 shared + "rewinding.to=3", groups(R"({"all": {"params": {"dense_ratio": 0.25}}})")}};
  const auto after = [&](std::size_t steps, const SmallJob& each, const char* directory) {
    run.digest_after(steps, each, {.ranks = 2, .stage = 2}, directory);
    order_.clear();
    return read(directory, "parameters");
  };
  const Arrays first = after(1, {}, "dense"), early = after(3, {}, "dense");
  dense = after(5, {}, "dense");
  EXPECT_TRUE(early != first && early != dense);
  for (const std::size_t round : {1u, 2u}) {
    const Arrays left = after(3 + 2 * round, job, "sparse"), gone = read("sparse", "pruned");
    for (const auto& [name, values] : left) {
      if (round == 1 && is_weight(name)) {
        const std::vector<bool> expected = smallest({name}, 0.5)[name];
        for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(gone.at(name)[i] != 0, expected[i]) << name << i;
      }
      std::size_t count = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        count += gone.at(name)[i] != 0 ? 1 : 0;
        ASSERT_EQ(values[i], gone.at(name)[i] != 0 ? 0.0f : early.at(name)[i]) << name << "[" << i << "]";
      }
      const double sparsity = is_weight(name) ? 1 - std::pow(0.25, 0.5 * static_cast<double>(round)) : 0;
      EXPECT_EQ(count, static_cast<std::size_t>(std::llrint(sparsity * static_cast<double>(values.size())))) << name;
    }
    for (const auto& [name, values] : read("sparse", "exp_avg_sq"))
      for (const float each : values) ASSERT_EQ(each, 0) << name;
    EXPECT_TRUE(after(4 + 2 * round, job, "sparse") != left) << "it trains on";
  }
}

TEST_F(Masks, GrowByTheCubicScheduleAndNeverGiveBack) {
  const SmallJob job{.changes = gradually(two_groups)};
  Arrays before;
  for (std::size_t steps = 1; steps <= 11; ++steps) {
    run.digest_after(steps, job, {.ranks = 2, .stage = 2}, "growing");
    const Arrays now = read("growing", "pruned"), values = read("growing", "parameters");
    const double t = steps < 2 ? 0 : std::min(1.0, static_cast<double>((steps - 2) / 2 * 2) / 6.0);
    for (const auto& [name, flags] : now) {
      if (!is_weight(name)) continue;
      const double target = name.find("mlp") != std::string::npos ? 0.7 : 0.5;
      const double wanted = target * (1 - std::pow(1 - t, 3)) * static_cast<double>(flags.size());
      std::size_t gone = 0;
      for (std::size_t i = 0; i < flags.size(); ++i) {
        gone += flags[i] != 0;
        ASSERT_TRUE(flags[i] == 0 || values.at(name)[i] == 0) << name << "[" << i << "] after " << steps;
        ASSERT_TRUE(before.empty() || flags[i] >= before.at(name)[i]) << name << "[" << i << "] after " << steps;
      }
      EXPECT_NEAR(static_cast<double>(gone), wanted, 0.51) << name << " after " << steps;
    }
    before = now;
  }
}

}  // namespace
}  // namespace tranche
