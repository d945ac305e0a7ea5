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
#include "runtime/optim/optimizer.h"
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

// A rank's part of the model.
struct Slice {
  CpuDevice device;
  Model model;
  std::size_t first;
  Tensor working;
  std::vector<Owned> owned;
  Value value;

  Slice(const Communicator& world, Value values) : value(values) {
    const std::size_t ranks = world.size(), share = (Model::size + ranks * 1024 - 1) / (ranks * 1024) * 1024;
    working = Tensor::zeros(device, "slice", Category::parameters, {1, share}, DType::float32);
    first = world.rank() * share;
    std::size_t offset = 0;
    for (Parameter* each : {&model.first, &model.bias, &model.second}) {
      each->offset = offset;
      offset += each->shape.size();
    }
    owned = {{.unit = &model.unit, .first = first, .size = share, .working = working}};
  }
  // After a placement has given them others.
  void fill() const {
    for (std::size_t i = 0; i < working.size(); ++i) working.span<float>()[i] = value(first + i);
  }
};

// What is pruned of the flat layout, as the ranks together see it.
Floats pruned_by(std::size_t ranks, const PruningConfig& config, std::size_t updates, Value value = tied) {
  Floats flags(Model::size), masters(Model::size);
  std::mutex mutex;
  testing::on_ranks(ranks, [&](Communicator& world) {
    const Slice slice{world, value};
    const std::size_t first = slice.first;
    ResidentPlacement placement{{}};
    placement.adopt(slice.owned, 1);
    slice.fill();
    Pruning pruning{config, placement, slice.owned, world, constant(1)};
    for (std::size_t update = 1; update <= updates; ++update) pruning.after_update(update);
    const std::lock_guard lock{mutex};
    for (std::size_t i = 0; i < slice.working.size() && first + i < Model::size; ++i) {
      flags[first + i] = placement.borrow(1, 0).span<float>()[i];
      masters[first + i] = slice.working.span<float>()[i];
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

// Its random masks choose by chance; as many weights go as of ours.
TEST(Pruning, AsManyGoAsByPyTorchsRandomMasks) {
  const Json fixture =
      parse_json(read_small_file("tests/compress/fixtures/torch_structured.json"), "fixture", Exit::internal);
  ASSERT_EQ(fixture["random"].size(), 6u);
  for (const Json& each : fixture["random"]) {
    const PruningConfig config = config_of(PruningConfig::Scope::layer, 1 - each["amount"].get<double>());
    const Floats ours = pruned_by(2, config, 1, distinct);
    const auto gone = [&](std::size_t first, std::size_t size) {
      return std::count(ours.begin() + static_cast<std::ptrdiff_t>(first),
                        ours.begin() + static_cast<std::ptrdiff_t>(first + size), 1.0f);
    };
    EXPECT_EQ(gone(0, 40 * 50), each["weights"][0].get<std::ptrdiff_t>()) << each["amount"];
    EXPECT_EQ(gone(Model::second_at, 60 * 50), each["weights"][1].get<std::ptrdiff_t>()) << each["amount"];
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

// Sanh et al. 2020: scores are summed from weights and gradients as each update finds them, and the lowest go.
TEST(Movement, ScoresFollowUpdatesAndTheLowestGoOnAnyNumberOfRanks) {
  PruningConfig config = config_of(PruningConfig::Scope::global, 0.4);
  config.method = PruningConfig::Method::topk;
  config.offset = 3;
  config.by_modules[0].l1 = 0.01;
  config.by_modules[0].l2 = 0.02;
  const auto gradient = [](std::size_t i, std::size_t update) {
    return static_cast<float>((i * 31 + update * 17) % 101) / 64 - 0.75f;
  };
  const Schedule schedule = [](std::uint64_t updates) {
    return Rates{.rate = 0.125 / static_cast<double>(updates + 1)};
  };

  Floats weights(Model::size), scores(Model::size);
  for (std::size_t i = 0; i < Model::size; ++i) weights[i] = distinct(i);
  for (std::size_t update = 0; update < 3; ++update)
    for (std::size_t i = 0; i < Model::size; ++i) {
      const auto rate = static_cast<float>(schedule(update).rate);
      const float w = weights[i], g = gradient(i, update), sign = w > 0 ? 1.0f : -1.0f;
      if (Model::is_weight(i)) scores[i] -= rate * w * g;
      weights[i] -= rate * (Model::is_weight(i) ? g + (0.01f * sign + 0.02f * w) : g);
    }
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < Model::size; ++i)
    if (Model::is_weight(i)) order.push_back(i);
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return scores[i]; });
  for (std::size_t k = 0; k < 3000; ++k) weights[order[k]] = 0;

  for (const std::size_t ranks : {1u, 3u})
    testing::on_ranks(ranks, [&](Communicator& world) {
      Slice slice{world, distinct};
      ResidentPlacement placement{{}};
      placement.adopt(slice.owned, 1);
      slice.fill();
      const std::unique_ptr<Optimizer> optimizer = make_sgd({}, placement);
      Pruning pruning{config, placement, slice.owned, world, schedule};
      for (std::size_t update = 0; update < 3; ++update) {
        pruning.begin_step(update);
        const Tensor gradients =
            Tensor::zeros(slice.device, "gradients", Category::gradients, slice.working.shape(), DType::float32);
        for (std::size_t i = 0; i < gradients.size(); ++i)
          gradients.span<float>()[i] = slice.first + i < Model::size ? gradient(slice.first + i, update) : 0;
        optimizer->update({gradients}, schedule(update), update);
        EXPECT_EQ(pruning.after_update(update + 1), update == 2);
      }
      const Tensor found = placement.borrow(2, 0);
      for (std::size_t i = 0; i < slice.working.size() && slice.first + i < Model::size; ++i) {
        ASSERT_EQ(found.span<float>()[i], scores[slice.first + i]) << slice.first + i;
        ASSERT_EQ(slice.working.span<float>()[i], weights[slice.first + i]) << slice.first + i;
      }
    });
}

// Renda et al. 2020, algorithm 2: k = 10, T = 100, three rounds.
TEST(Rewinding, ScheduleAndCountOfUpdatesGoBackAtTheEndOfEachRound) {
  PruningConfig config = config_of(PruningConfig::Scope::layer, 0.125);
  config.offset = 100;
  config.rewinding = {.rounds = 3, .what = Rewinding::What::weights, .to = 10};
  struct At {
    std::uint64_t updates, scheduled, counted;
    double gone;
  };
  for (const At& at : {At{0, 0, 0, 0},
                       {99, 99, 99, 0},
                       {100, 10, 0, 0.5},
                       {189, 99, 89, 0.5},
                       {190, 10, 0, 0.75},
                       {279, 99, 89, 0.75},
                       {280, 10, 0, 0.875},
                       {369, 99, 89, 0.875},
                       {500, 230, 220, 0.875}}) {
    EXPECT_EQ(config.scheduled_after(at.updates), at.scheduled) << at.updates;
    EXPECT_EQ(config.counted_after(at.updates), at.counted) << at.updates;
    EXPECT_NEAR(config.sparsity(0.125, config.progress_after(at.updates)), at.gone, 1e-12) << at.updates;
  }
  EXPECT_EQ(config.settled_after(), 279u);  // so that a plan sees the last one
  config.rewinding.what = Rewinding::What::learning_rate;
  EXPECT_EQ(config.scheduled_after(190), 10u);
  EXPECT_EQ(config.counted_after(190), 190u);  // moments go on
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
