// Against what PyTorch gives: fixtures/torch_*.json, each made by the script beside it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compress/histogram.h"
#include "compress/importance.h"
#include "compress/observer.h"
#include "compress/structure.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/fake_quantize.h"
#include "tests/runtime/models/placed.h"

namespace tranche::compress {
namespace {

class Torch : public ::testing::Test {
 protected:
  const Json fixture =
      parse_json(read_small_file("tests/compress/fixtures/torch_observers.json"), "fixture", Exit::internal);

  static std::vector<float> floats(const Json& json) { return json.get<std::vector<float>>(); }
  std::vector<Range> range_of(const std::vector<float>& values) const {
    return min_max(values, ops::QuantizationGrid::per_tensor(values.size()), "batch");
  }
  // The ranges that an observer of this name keeps after the fixture's data.
  std::vector<Range> observed(const std::string& name) const {
    const std::vector<float> channels = floats(fixture["channels"]);
    if (name == "per_channel") return min_max(channels, ops::QuantizationGrid::per_row(3, 32), "channels");
    if (name == "moving_average_per_channel") {
      std::vector<float> larger = channels;
      for (float& x : larger) x *= 1.5f;
      MovingAverage average;
      average.fold(min_max(channels, ops::QuantizationGrid::per_row(3, 32), "channels"));
      average.fold(min_max(larger, ops::QuantizationGrid::per_row(3, 32), "channels"));
      return average.ranges();
    }
    MinMax all;
    MovingAverage average;
    for (const Json& batch : fixture["batches"]) {
      all.fold(range_of(floats(batch)));
      average.fold(range_of(floats(batch)));
    }
    return name == "min_max" ? all.ranges() : average.ranges();
  }
};

TEST_F(Torch, ObserversKeepTheSameRangesAndScales) {
  ASSERT_EQ(fixture["cases"].size(), 16u);
  for (const Json& each : fixture["cases"]) {
    const auto name = each["name"].get<std::string>();
    const std::vector<Range> ranges = observed(name);
    const std::vector<float> lows = floats(each["range"][0]), highs = floats(each["range"][1]);
    const std::vector<float> scales = floats(each["scale"]);
    const auto zeros = each["zero"].get<std::vector<int>>();
    ASSERT_EQ(ranges.size(), scales.size()) << name;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      EXPECT_FLOAT_EQ(ranges[i].low, lows[i]) << name;
      EXPECT_FLOAT_EQ(ranges[i].high, highs[i]) << name;
      const Symmetry symmetry = each["affine"].get<bool>() ? Symmetry::affine : Symmetry::symmetric;
      const ScaleAndZero ours =
          scale_of({lows[i], highs[i]}, symmetry, {each["low"].get<int>(), each["high"].get<int>()}, name);
      EXPECT_FLOAT_EQ(ours.scale, scales[i]) << name;
      EXPECT_EQ(ours.zero, zeros[i]) << name;
    }
  }
}

TEST_F(Torch, TheHistogramKeepsTheSameBinsAndRange) {
  const std::vector<float> heavy = floats(fixture["heavy"]);
  Histogram histogram{range_of(heavy).front()};
  histogram.count(heavy, "heavy");
  const auto theirs = fixture["histogram"].get<std::vector<std::uint64_t>>();
  std::size_t moved = 0;  // theirs divides in float32: a value may fall over an edge
  for (std::size_t i = 0; i < theirs.size(); ++i) moved += theirs[i] != histogram.counts()[i] ? 1 : 0;
  EXPECT_LE(moved, 4u);
  const Range found = least_squares_range(histogram);
  EXPECT_NEAR(found.low, fixture["least_squares"][0].get<float>(), 1e-4);
  EXPECT_NEAR(found.high, fixture["least_squares"][1].get<float>(), 1e-4);
}

TEST_F(Torch, QuantizingAndBackIsTheirFakeQuantization) {
  CpuDevice device;
  const auto tensor = [&](const std::vector<float>& values) {
    const Tensor t = Tensor::empty(device, "t", Category::activations, {values.size()}, DType::float32);
    std::copy(values.begin(), values.end(), t.span<float>().begin());
    return t;
  };
  const auto there_and_back = [&](const std::vector<float>& values, const std::vector<float>& scales, int zero,
                                  const ops::QuantizationGrid& grid, ops::Levels levels) {
    const Tensor x = tensor(values), y = tensor(values), scale = tensor(scales);
    const Tensor q = Tensor::empty(device, "q", Category::activations, {values.size()}, DType::int8);
    const Tensor zeros = Tensor::empty(device, "zeros", Category::activations, {scales.size()}, DType::int32);
    for (std::int32_t& z : zeros.span<std::int32_t>()) z = zero;
    ops::quantize(x, scale, zeros, grid, levels, q);
    ops::dequantize(q, scale, zeros, grid, y);
    return std::vector<float>(y.span<float>().begin(), y.span<float>().end());
  };
  const Json& one = fixture["fake"];
  const std::vector<float> batch = floats(fixture["batches"][0]);
  EXPECT_EQ(there_and_back(batch, {one["scale"].get<float>()}, one["zero"].get<int>(),
                           ops::QuantizationGrid::per_tensor(batch.size()), {-128, 127}),
            floats(one["y"]));
  const Json& channels = fixture["fake_channels"];
  EXPECT_EQ(there_and_back(floats(fixture["channels"]), floats(channels["scales"]), 0,
                           ops::QuantizationGrid::per_row(3, 32), {-8, 7}),
            floats(channels["y"]));
}

TEST(TorchStepSizes, LearnedStepsHaveTheSameValuesAndGradients) {
  const Json fixture =
      parse_json(read_small_file("tests/compress/fixtures/torch_step_sizes.json"), "fixture", Exit::internal);
  ASSERT_EQ(fixture["cases"].size(), 4u);
  CpuDevice device;
  for (const Json& each : fixture["cases"]) {
    const auto rows = each["rows"].get<std::size_t>(), size = each["x"].size();
    const auto bits = each["bits"].get<unsigned>();
    const auto tensor = [&](const char* name) {
      const auto values = each[name].get<std::vector<float>>();
      const Tensor t = Tensor::empty(device, name, Category::activations, {values.size()}, DType::float32);
      std::copy(values.begin(), values.end(), t.span<float>().begin());
      return t;
    };
    const auto expect_theirs = [&](const Tensor& ours, const char* name) {
      const Tensor theirs = tensor(name);
      for (std::size_t i = 0; i < theirs.size(); ++i)
        EXPECT_NEAR(ours.span<const float>()[i], theirs.span<const float>()[i], 1e-5)
            << name << " " << i << " of " << rows << " rows, " << bits << " bits";
    };
    const Tensor x = tensor("x"), dy = tensor("dy"), steps = tensor("steps");
    const auto grid = ops::QuantizationGrid::per_row(rows, size / rows);
    const Tensor y = tensor("x"), dx = tensor("x"), dsteps = tensor("steps");
    ops::fake_quantize_by(x, steps, grid, bits, y);
    ops::fake_quantize_by_input_gradient(dy, x, steps, grid, bits, {dx, false});
    ops::fake_quantize_by_step_gradient(dy, x, steps, grid, bits, {dsteps, false});
    expect_theirs(y, "y");
    expect_theirs(dx, "dx");
    expect_theirs(dsteps, "dsteps");
  }
}

// A model of one block of twenty neurons. A neuron's row, bias and column are a row of PyTorch's matrix.
class TorchStructured : public ::testing::Test {
 protected:
  static constexpr std::size_t neurons = 20, width = 24, together = 2 * width + 1;
  const Json fixture =
      parse_json(read_small_file("tests/compress/fixtures/torch_structured.json"), "fixture", Exit::internal);
  ::tranche::testing::Placed placed{R"({"model_type": "gpt2", "n_layer": 1, "n_embd": 24, "n_head": 4, "n_inner": 20,
      "n_positions": 16, "vocab_size": 30})"};
  const Dependencies dependencies = dependencies_of(placed.model->units());
  const UnitReader values_of = [](const Unit& unit) { return UnitValues{unit.values().span<float>(), {}}; };

  TorchStructured() {
    const auto value = [](std::size_t neuron, std::size_t i) {
      const std::size_t k = neuron * together + i;
      return static_cast<float>(k * 7919 % 10007 + 1) / 8192 * (k % 2 == 0 ? 1.0f : -1.0f);
    };
    placed.for_each([&](const Owned&, const Parameter& each) {
      const std::span<float> values = each.value.span<float>();
      for (std::size_t neuron = 0; neuron < neurons; ++neuron)
        for (std::size_t i = 0; i < width; ++i) {
          if (each.name == "blocks.0.mlp.up.weight") values[neuron * width + i] = value(neuron, i);
          if (each.name == "blocks.0.mlp.up.bias") values[neuron] = value(neuron, width);
          if (each.name == "blocks.0.mlp.down.weight") values[i * neurons + neuron] = value(neuron, width + 1 + i);
        }
    });
  }
  // Neurons that go.
  std::vector<std::size_t> gone(const Scores& scores, double amount) const {
    const Cut cut = choose_cut(dependencies, 1, scores, {.neurons = 1 - amount});
    const std::vector<std::size_t>& left = cut.features.at("blocks.0.mlp.neurons");
    std::vector<std::size_t> gone;
    for (std::size_t neuron = 0; neuron < neurons; ++neuron)
      if (!std::ranges::binary_search(left, neuron)) gone.push_back(neuron);
    return gone;
  }
};

TEST_F(TorchStructured, TheSameNeuronsGoByTheirNorm) {
  ASSERT_EQ(fixture["structured"].size(), 12u);
  for (const Json& each : fixture["structured"]) {
    const Importance norm = each["n"] == 1 ? Importance::l1 : Importance::l2;
    EXPECT_EQ(gone(scores_by_norm(norm, placed.model->units(), values_of), each["amount"].get<double>()),
              each["rows"].get<std::vector<std::size_t>>())
        << each;
  }
}

TEST_F(TorchStructured, AsManyGoByChanceAndTheSameOnesAgain) {
  ASSERT_EQ(fixture["random"].size(), 6u);
  for (const Json& each : fixture["random"]) {
    const auto at_random = [&](std::uint64_t seed) {
      return gone(scores_at_random(seed, placed.model->units()), each["amount"].get<double>());
    };
    EXPECT_EQ(at_random(1).size(), each["rows"].get<std::size_t>()) << each;
    EXPECT_EQ(at_random(1), at_random(1));
    EXPECT_NE(at_random(1), at_random(3)) << each;
  }
}

}  // namespace
}  // namespace tranche::compress
