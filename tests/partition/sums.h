// Sums of gradients against their definition, for ranks of any kind.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "partition/canonical_sync.h"
#include "partition/shard_plan.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/elementwise.h"
#include "runtime/train/deal.h"

namespace tranche::testing {

inline constexpr std::size_t micro_batches = 12;

// Sums of these depend on their order in nearly every way that sums can.
inline float gradient_value(std::size_t micro_batch, std::size_t unit, std::size_t i) {
  static constexpr std::array values{1e8f, -1e8f, 1e-8f, -0.0f, 3.1415927f, 0.1f, -7e4f, 1.1754944e-38f, 0.33333334f};
  if (unit == 1 && i == 7 && micro_batch == 5) return std::numeric_limits<float>::infinity();
  if (unit == 1 && i == 8 && micro_batch == 9) return std::numeric_limits<float>::quiet_NaN();
  if (i % 97 == 0) return -0.0f;  // a sum of nothing but negative zeros
  return values[static_cast<std::size_t>(RandomKey{1, Purpose::initialise}(micro_batch)(unit).number(i) %
                                         values.size())];
}

struct TwoUnits {
  Parameter a{"a", {1, 1500}}, b{"b", {5, 1003}}, c{"c", {3}};
  Unit first{"first", {&a}, {}}, second{"second", {&b, &c}, {}};
  std::array<Unit*, 2> units{&first, &second};
};

// Seams for units that nobody visits.
struct NoVisits {
  CpuDevice device;
  ResidentStore store{device, {}, 1024};
  SumPlacement sums;
  LocalSync sync{sums};
  WeightTransform weights;
  ActivationPolicy activations;
  Seams seams{store, sync, weights, activations};
};

// What one micro-batch gives a unit, padded with zeros and rounded to `dtype`, as a unit's own gradient is.
inline Tensor gradient_of(Device& device, const Unit& unit, std::size_t flat, std::size_t micro_batch, DType dtype) {
  const Tensor exact = Tensor::zeros(device, "gradient", Category::gradients, {1, flat}, DType::float32);
  for (std::size_t i = 0; i < unit.size(); ++i) exact.span<float>()[i] = gradient_value(micro_batch, unit.index(), i);
  const Tensor gradient = Tensor::empty(device, "gradient", Category::gradients, {1, flat}, dtype);
  ops::convert(exact, gradient);
  return gradient;
}

// The definition, written as a loop.
inline std::vector<float> sum_by_definition(Device& device, const Unit& unit, DType dtype, std::size_t block) {
  std::vector<float> total(unit.size(), 0.0f);
  for (std::size_t begin = 0; begin < micro_batches; begin += block) {
    std::vector<float> sum(unit.size(), 0.0f);
    for (std::size_t m = begin; m < begin + block; ++m) {
      const Tensor rounded = gradient_of(device, unit, unit.size(), m, dtype);
      const Tensor exact = Tensor::empty(device, "exact", Category::gradients, rounded.shape(), DType::float32);
      ops::convert(rounded, exact);
      for (std::size_t i = 0; i < unit.size(); ++i) sum[i] += exact.span<float>()[i];
    }
    for (std::size_t i = 0; i < unit.size(); ++i) total[i] = block == 1 ? sum[i] + total[i] : total[i] + sum[i];
  }
  return total;
}

inline void expect_same_bits(std::span<const float> sum, std::span<const float> expected, const Unit& unit,
                             std::size_t first) {
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const float value = first + i < unit.size() ? expected[first + i] : 0.0f;
    if (std::isnan(value))
      ASSERT_TRUE(std::isnan(sum[i])) << unit.name() << " " << first + i;
    else
      ASSERT_EQ(std::bit_cast<std::uint32_t>(sum[i]), std::bit_cast<std::uint32_t>(value))
          << unit.name() << " " << first + i << ": " << sum[i] << " for " << value;
  }
}

struct SumCase {
  std::size_t ranks, stage, block;
  bool overlap;
  DType dtype;
};

// Two steps of one rank.
inline void sums_are_those_of_the_definition(Communicator& world, const SumCase& c) {
  CpuDevice device;
  TwoUnits model;
  const Deal deal{micro_batches, c.ranks, c.block};
  ZeroConfig config;
  config.stage = c.stage;
  config.overlap_comm = c.overlap;
  SumPlacement place;
  CanonicalSync sync{config, c.block, place, world};
  const std::array<Slicing, 2> slicing{Slicing{model.first.size(), c.ranks}, Slicing{model.second.size(), c.ranks}};
  NoVisits none;
  for (std::size_t u = 0; u < 2; ++u) {
    const auto values = std::make_shared<Storage>(device, "values", Category::parameters, slicing[u].padded(), c.dtype);
    model.units[u]->place(u, {values, 0, {1, slicing[u].padded()}}, none.seams);
  }

  for (int step = 0; step < 2; ++step) {  // nothing of a step is left for the next
    for (const std::size_t micro : deal.of_rank(world.rank())) {
      for (const std::size_t u : {1u, 0u})  // as backward does, last unit first
        sync.reduce(*model.units[u], gradient_of(device, *model.units[u], slicing[u].padded(), micro, c.dtype));
      sync.end_micro_batch();
    }
    const Shards shards = sync.finish();
    ASSERT_EQ(shards.size(), 2u);
    EXPECT_EQ(device.ledger().live(Category::gradients), shards[0].bytes() + shards[1].bytes());
    for (std::size_t u = 0; u < 2; ++u) {
      const std::size_t first = c.stage == 0 ? 0 : slicing[u].first(world.rank());
      ASSERT_EQ(shards[u].size(), c.stage == 0 ? slicing[u].padded() : slicing[u].slice());
      expect_same_bits(shards[u].span<const float>(), sum_by_definition(device, *model.units[u], c.dtype, c.block),
                       *model.units[u], first);
    }
  }
  EXPECT_EQ(device.ledger().live(), 0u);
}

}  // namespace tranche::testing
