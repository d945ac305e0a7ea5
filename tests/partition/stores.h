// Who holds parameters, for ranks of any kind.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "partition/partitioned_store.h"
#include "partition/shard_plan.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/reduce.h"
#include "runtime/optim/placement.h"

namespace tranche::testing {

inline constexpr std::uint64_t store_seed = 7;

// Four units of different sizes.
struct FourUnits {
  Parameter a{"a", {1, 1500}, Initial::normal(0.02f)}, b{"b", {5, 1003}, Initial::normal(1)},
      c{"c", {3}, Initial::ones()}, d{"d", {9000}, Initial::normal(0.5f)}, e{"e", {10}, Initial::zeros()};
  std::deque<Unit> all;
  FourUnits() {
    all.emplace_back("first", std::vector{&a}, Forward{});
    all.emplace_back("second", std::vector{&b, &c}, Forward{});
    all.emplace_back("third", std::vector{&d}, Forward{});
    all.emplace_back("fourth", std::vector{&e}, Forward{});
  }
  Unit& operator[](std::size_t i) { return all[i]; }
};

struct StoreCase {
  std::size_t ranks, stage;
  DType working;
  bool overlap = true;
  std::size_t bucket = 1'000'000;
};

// One rank's device, units and store.
struct StoreRank {
  CpuDevice device;
  FourUnits units;
  std::unique_ptr<ParameterStore> store;
  std::unique_ptr<ResidentPlacement> placement;
  SumPlacement sums;
  LocalSync sync{sums};
  WeightTransform weights;
  ActivationPolicy activations;
  std::optional<Seams> seams;

  StoreRank(const StoreCase& c, Communicator& world) {
    ZeroConfig config;
    config.stage = c.stage;
    config.overlap_comm = c.overlap;
    config.prefetch_bucket_size = c.bucket;
    const Precision precision{c.working};
    if (c.stage == 0)
      store = std::make_unique<ResidentStore>(device, precision, world.size() * ops::block);
    else
      store = std::make_unique<PartitionedStore>(config, precision, world, device);
    seams.emplace(Seams{*store, sync, weights, activations});
    for (Unit& unit : units.all) store->adopt(unit, *seams);
    placement = std::make_unique<ResidentPlacement>(precision);
    placement->adopt(store->owned(), store_seed);
    store->publish();
  }

  void visit(std::size_t unit) {
    store->gather(units[unit]);
    store->release(units[unit]);
  }
  void visit(std::initializer_list<std::size_t> order) {
    for (const std::size_t unit : order) visit(unit);
  }
  // A forward and its backward.
  void micro_batch() {
    store->begin_micro_batch();
    visit({0, 1, 2, 3, 3, 2, 1, 0});
  }
};

// Values of a unit after `updates` updates by update(): 0.5 x - 1 each, rounded to the working dtype at the end.
inline std::vector<std::byte> expected_values(Device& device, const Unit& unit, DType working, int updates) {
  const Tensor master = Tensor::empty(device, "expected", Category::workspace, {1, unit.size()}, DType::float32);
  unit.initialise(store_seed, 0, master);
  for (int i = 0; i < updates; ++i)
    for (float& value : master.span<float>()) value = 0.5f * value - 1;
  const Tensor rounded = Tensor::empty(device, "expected", Category::workspace, {1, unit.size()}, working);
  ops::convert(master, rounded);
  return {rounded.data(), rounded.data() + rounded.bytes()};
}

inline void update(StoreRank& rank) {
  for (std::size_t u = 0; u < rank.store->owned().size(); ++u)
    for (float& value : rank.placement->borrow(0, u).span<float>()) value = 0.5f * value - 1;
  rank.placement->round();
  rank.store->publish();
}

inline void expect_values(StoreRank& rank, std::size_t u, DType working, int updates) {
  Unit& unit = rank.units[u];
  const std::vector<std::byte> expected = expected_values(rank.device, unit, working, updates);
  ASSERT_TRUE(std::ranges::equal(std::span{unit.values().data(), expected.size()}, expected)) << unit.name();
}

inline void every_visit_sees_the_newest_values(Communicator& world, const StoreCase& c) {
  StoreRank rank{c, world};
  int updates = 0;
  const auto check_visits = [&](std::initializer_list<std::size_t> order) {
    for (const std::size_t u : order) {
      rank.store->gather(rank.units[u]);
      expect_values(rank, u, c.working, updates);
      rank.store->release(rank.units[u]);
    }
  };
  check_visits({0, 1, 2, 3});  // an evaluation before anything else
  for (; updates < 4; ++updates, update(rank)) {
    for (int micro = 0; micro < 2; ++micro) {
      rank.store->begin_micro_batch();
      check_visits({0, 1, 2, 3, 3, 2, 1, 0});
    }
    check_visits({0, 1, 2, 3, 0, 1, 2, 3});  // and between steps
  }
  rank.store->begin_micro_batch();
  check_visits({2, 0, 0, 3});  // as nobody expected
  check_visits({0, 1, 2, 3});
}

inline void owners_together_hold_each_element_once(Communicator& world, const StoreCase& c) {
  StoreRank rank{c, world};
  for (std::size_t u = 0; u < rank.units.all.size(); ++u) {
    const Owned& owned = rank.store->owned()[u];
    EXPECT_EQ(owned.unit, &rank.units[u]);
    EXPECT_EQ(owned.working.dtype(), c.working);
    const std::vector<double> firsts = world.gather(std::vector{static_cast<double>(owned.first)}, "first");
    const Slicing slicing{rank.units[u].size(), c.ranks};
    EXPECT_EQ(owned.working.size(), c.stage == 0 ? slicing.padded() : slicing.slice());
    for (std::size_t r = 0; r < c.ranks; ++r)
      EXPECT_EQ(firsts[r], c.stage == 0 ? 0.0 : static_cast<double>(slicing.first(r)));
  }
}

// Stage 3: the slices, and nothing else between steps, whatever was visited.
inline void between_steps_only_what_the_stage_promises_is_alive(Communicator& world, const StoreCase& c) {
  StoreRank rank{c, world};
  std::size_t padded = 0;
  for (const Unit& unit : rank.units.all) padded += Slicing{unit.size(), c.ranks}.padded();
  const std::size_t share = c.stage == 0 ? padded : padded / c.ranks;
  const auto expect_steady = [&] {
    EXPECT_EQ(rank.device.ledger().live(Category::parameters), (c.stage == 3 ? share : padded) * bytes_of(c.working));
    EXPECT_EQ(rank.device.ledger().live(Category::optimizer), is_half(c.working) ? 4 * share : 0);
  };
  expect_steady();
  for (int step = 0; step < 3; ++step) {
    rank.micro_batch();
    rank.visit({0, 1, 2, 3});  // an evaluation, and in step 0 one that follows the record
    rank.store->publish();
    expect_steady();
  }
}

}  // namespace tranche::testing
