// Masks of a model that is all ties, on any number of ranks; and of another as PyTorch makes them.
#include "compress/pruning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <string>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/random.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/nn/unit.h"
#include "tests/support/ranks.h"

namespace tranche::compress {
namespace {

using Floats = std::vector<float>;

// Two weights with a vector between them.
struct Model {
  Parameter first{.name = "first.weight", .shape = {40, 50}}, bias{.name = "first.bias", .shape = {30}},
      second{.name = "second.weight", .shape = {60, 50}};
  Unit unit{"unit", {&first, &bias, &second}, [](const Tensor& x) { return x; }};
  static constexpr std::size_t size = 40 * 50 + 30 + 60 * 50, second_at = 40 * 50 + 30;

  static bool is_weight(std::size_t i) { return i < 40 * 50 || i >= second_at; }
};

using Value = float (*)(std::size_t i);  // of an element of the flat layout
// 0 or one of three magnitudes.
float tied(std::size_t i) {
  const std::uint32_t number = RandomKey{9, Purpose::order}.number(i);
  return (number % 2 == 0 ? 0.5f : -0.5f) * static_cast<float>(number / 2 % 4);
}
// No two magnitudes are equal; as fixtures/torch_pruning.py has them.
float distinct(std::size_t i) { return static_cast<float>(i * 7919 % 10007 + 1) / 8192 * (i % 2 == 0 ? 1.0f : -1.0f); }

// What is pruned of the flat layout, as the ranks together see it.
Floats pruned_by(std::size_t ranks, const PruningConfig& config, std::size_t updates, Value value = tied) {
  Floats flags(Model::size), masters(Model::size);
  std::mutex mutex;
  testing::on_ranks(ranks, [&](Communicator& world) {
    CpuDevice device;
    Model model;
    const std::size_t share = (Model::size + ranks * 1024 - 1) / (ranks * 1024) * 1024;
    const Tensor working = Tensor::zeros(device, "slice", Category::parameters, {1, share}, DType::float32);
    std::size_t offset = 0;
    for (Parameter* each : {&model.first, &model.bias, &model.second}) {
      each->offset = offset;
      offset += each->shape.size();
    }
    const std::size_t first = world.rank() * share;
    const std::vector<Owned> owned{{.unit = &model.unit, .first = first, .size = share, .working = working}};
    ResidentPlacement placement{{}};
    placement.adopt(owned, 1);
    for (std::size_t i = 0; i < share; ++i) working.span<float>()[i] = value(first + i);
    Pruning pruning{config, placement, owned, world};
    for (std::size_t update = 1; update <= updates; ++update) pruning.after_update(update);
    const std::lock_guard lock{mutex};
    for (std::size_t i = 0; i < share && first + i < Model::size; ++i) {
      flags[first + i] = placement.borrow(1, 0).span<float>()[i];
      masters[first + i] = working.span<float>()[i];
    }
  });
  for (std::size_t i = 0; i < Model::size; ++i) EXPECT_EQ(masters[i], flags[i] != 0 ? 0 : value(i)) << i;
  return flags;
}

// By a stable sort.
Floats expected_of(const std::vector<std::pair<std::size_t, std::size_t>>& pools, double sparsity) {
  Floats flags(Model::size);
  for (const auto& [begin, end] : pools) {
    std::vector<std::size_t> order;
    for (std::size_t i = begin; i < end; ++i)
      if (Model::is_weight(i)) order.push_back(i);
    std::ranges::stable_sort(order, {}, [](std::size_t i) { return std::fabs(tied(i)); });
    const auto count = static_cast<std::size_t>(std::llrint(sparsity * static_cast<double>(order.size())));
    for (std::size_t k = 0; k < count; ++k) flags[order[k]] = 1;
  }
  return flags;
}

PruningConfig config_of(PruningConfig::Scope scope, double dense_ratio) {
  PruningConfig config;
  config.enabled = true;
  config.scope = scope;
  config.offset = 1;
  config.by_modules = {{.modules = {}, .dense_ratio = dense_ratio}};
  return config;
}

TEST(Pruning, TiesGoInLogicalOrderOnAnyNumberOfRanks) {
  for (const double dense_ratio : {1.0, 0.9, 0.5, 0.31, 0.002})
    for (const std::size_t ranks : {1u, 2u, 3u, 5u}) {
      SCOPED_TRACE(::testing::Message() << dense_ratio << " on " << ranks << " ranks");
      EXPECT_EQ(pruned_by(ranks, config_of(PruningConfig::Scope::global, dense_ratio), 1),
                expected_of({{0, Model::size}}, 1 - dense_ratio));
      EXPECT_EQ(pruned_by(ranks, config_of(PruningConfig::Scope::layer, dense_ratio), 1),
                expected_of({{0, Model::second_at}, {Model::second_at, Model::size}}, 1 - dense_ratio));
    }
}

TEST(Pruning, MasksAreThoseOfPyTorch) {
  const Json fixture =
      parse_json(read_small_file("tests/compress/fixtures/torch_pruning.json"), "fixture", Exit::internal);
  ASSERT_EQ(fixture["cases"].size(), 10u);
  for (const Json& each : fixture["cases"]) {
    const bool layer = each["scope"] == "layer";
    const PruningConfig config =
        config_of(layer ? PruningConfig::Scope::layer : PruningConfig::Scope::global, 1 - each["amount"].get<double>());
    const Floats ours = pruned_by(2, config, 1, distinct);
    std::size_t at = 0;  // of the flat layout
    for (const Json& tensor : each["pruned"]) {
      std::size_t different = 0;
      for (const char digit : tensor.get<std::string>())
        for (int bit = 3; bit >= 0; --bit, ++at)
          different += (std::stoi(std::string{digit}, nullptr, 16) >> bit & 1) != static_cast<int>(ours[at]) ? 1 : 0;
      EXPECT_EQ(different, 0u) << each["scope"] << " " << each["amount"];
      at = Model::second_at;
    }
  }
}

// What went first stays, though every master that is left may be as small: zeros are there from the beginning.
TEST(Pruning, MasksGrowInsideTheNextOnes) {
  PruningConfig config = config_of(PruningConfig::Scope::global, 0.1);
  config.end = 6;
  Floats before(Model::size);
  double last = 0;
  for (std::size_t updates = 2; updates <= 6; ++updates) {
    const Floats now = pruned_by(2, config, updates);
    for (std::size_t i = 0; i < Model::size; ++i) ASSERT_GE(now[i], before[i]) << i << " after " << updates;
    const auto gone = static_cast<double>(std::ranges::count(now, 1.0f));
    EXPECT_GT(gone, last);
    before = now;
    last = gone;
  }
  EXPECT_EQ(last, std::llrint(0.9 * 5000));
}

// Zhu and Gupta 2017, equation 1.
TEST(Pruning, TheScheduleIsCubicInStrides) {
  PruningConfig config = config_of(PruningConfig::Scope::layer, 0.5);
  config.offset = 100;
  config.end = 200;
  config.stride = 10;
  EXPECT_EQ(config.progress_after(99), 0);
  EXPECT_EQ(config.progress_after(100), 0);
  EXPECT_EQ(config.progress_after(109), 0);
  EXPECT_DOUBLE_EQ(config.progress_after(110), 1 - std::pow(0.9, 3));
  EXPECT_DOUBLE_EQ(config.progress_after(159), 1 - std::pow(0.5, 3));
  EXPECT_EQ(config.progress_after(200), 1);
  EXPECT_EQ(config.progress_after(1'000'000), 1);
  config.end.reset();
  EXPECT_EQ(config.progress_after(99), 0);
  EXPECT_EQ(config.progress_after(100), 1);
  EXPECT_EQ(config.settled_after(), 100u);
}

}  // namespace
}  // namespace tranche::compress
