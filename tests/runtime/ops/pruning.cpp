#include "runtime/ops/pruning.h"

#include <cmath>
#include <numeric>

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

using Floats = std::vector<float>;

constexpr KeyOrder orders[] = {KeyOrder::magnitude, KeyOrder::value};

std::uint32_t key_of(KeyOrder order, float value, float pruned) {
  const auto bits = std::bit_cast<std::uint32_t>(value), size = bits & 0x7FFFFFFFu;
  if (pruned != 0) return 0;
  if (order == KeyOrder::magnitude) return 1 + size;
  return value < 0 ? 0x80000000u - size : 0x80000001u + size;
}

// The elements in the order in which they are pruned.
std::vector<std::size_t> order_of(KeyOrder by, const Floats& values, const Floats& pruned) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto goes_before = [&](std::size_t a, std::size_t b) {  // as numbers
    if ((pruned[a] != 0) != (pruned[b] != 0)) return pruned[a] != 0;
    if (pruned[a] != 0) return false;
    return by == KeyOrder::value ? values[a] < values[b] : std::fabs(values[a]) < std::fabs(values[b]);
  };
  std::ranges::stable_sort(order, goes_before);
  return order;
}

struct State {
  Floats values, pruned;
};
// Magnitudes of many exponents, many of them equal; both zeros; denormals; some elements pruned already.
State some_state(std::size_t size) {
  const RandomKey key{3, Purpose::order};
  State state;
  for (std::size_t i = 0; i < size; ++i) {
    const auto number = static_cast<std::uint32_t>(key.number(i));
    const float few = static_cast<float>(number % 17) - 8.0f;
    state.values.push_back(number % 5 == 0   ? few * 0x1p-140f
                           : number % 5 == 1 ? few
                           : number % 5 == 2 ? -0.0f
                                             : std::bit_cast<float>(number & 0x7F7FFFFFu));
    state.pruned.push_back(number % 7 == 0 ? 1.0f : 0.0f);
    if (number % 7 == 0) state.values.back() = 0;
  }
  return state;
}

class PruningOps : public testing::Test {
 protected:
  TestDevice device{2};
  Tensor tensor(const Floats& values) {
    const Tensor t = Tensor::empty(device, "x", Category::activations, {1, values.size()}, DType::float32);
    std::ranges::copy(values, t.span<float>().begin());
    return t;
  }
};

TEST_F(PruningOps, CountsOfDigitsAreThoseOfTheKeys) {
  const State state = some_state(300'001);
  const Tensor values = tensor(state.values), pruned = tensor(state.pruned);
  for (const KeyOrder order : orders) {
    std::uint64_t prefix = 0;
    for (unsigned shift = 32; shift > 0;) {
      shift -= key_digit_bits;
      std::vector<std::uint64_t> counts(key_digits, 1), expected(key_digits, 1);  // it adds
      count_keys(values, pruned, order, static_cast<std::uint32_t>(prefix), shift, counts);
      for (std::size_t i = 0; i < state.values.size(); ++i) {
        const std::uint64_t key = key_of(order, state.values[i], state.pruned[i]);
        if (key >> (shift + 8) == prefix) ++expected[key >> shift & 255];
      }
      EXPECT_EQ(counts, expected) << shift;
      prefix = prefix << 8 | static_cast<std::uint64_t>(std::ranges::max_element(expected) - expected.begin());
    }
  }
}

TEST_F(PruningOps, WhatIsBelowTheThresholdGoesAndTheFirstTies) {
  const State state = some_state(5000);
  for (const KeyOrder by : orders) {
    const std::vector<std::size_t> order = order_of(by, state.values, state.pruned);
    for (const std::size_t count : {1u, 700u, 1000u, 1500u, 2000u, 2500u, 4999u, 5000u}) {
      const std::size_t last = order[count - 1];
      const std::uint32_t threshold = key_of(by, state.values[last], state.pruned[last]);
      std::uint64_t below = 0;
      for (std::size_t i = 0; i < 5000; ++i)
        below += key_of(by, state.values[i], state.pruned[i]) < threshold ? 1u : 0u;
      const Tensor pruned = tensor(state.pruned);
      prune_below(tensor(state.values), pruned, by, threshold, count - below);
      Floats expected = state.pruned;
      for (std::size_t i = 0; i < count; ++i) expected[order[i]] = 1;
      EXPECT_TRUE(std::ranges::equal(pruned.span<float>(), expected)) << count;
    }
  }
}

TEST_F(PruningOps, OfEachGroupTheSmallestGo) {
  for (const KeyOrder by : orders)
    for (const auto& [of, count] : {std::pair{4u, 2u}, {2u, 1u}, {8u, 5u}, {64u, 63u}, {4u, 0u}, {4u, 4u}}) {
      const State state = some_state(of * 501);
      const Tensor pruned = tensor(state.pruned);
      prune_smallest(tensor(state.values), pruned, by, of, count);
      Floats expected = state.pruned;
      for (std::size_t first = 0; first < expected.size(); first += of) {
        const auto part = [&](const Floats& of_all) {
          return Floats(of_all.begin() + static_cast<std::ptrdiff_t>(first),
                        of_all.begin() + static_cast<std::ptrdiff_t>(first + of));
        };
        const std::vector<std::size_t> order = order_of(by, part(state.values), part(state.pruned));
        for (std::size_t i = 0; i < count; ++i) expected[first + order[i]] = 1;
      }
      EXPECT_TRUE(std::ranges::equal(pruned.span<float>(), expected)) << count << " of " << of;
    }
}

TEST_F(PruningOps, ScoresSinkWhereAnUpdateTakesAWeightTowardsZero) {
  const std::size_t size = 70'003;
  const State state = some_state(size);
  Floats gradients(size), before(size);
  for (std::size_t i = 0; i < size; ++i) {
    gradients[i] = static_cast<float>(i % 13) * 0.3f - 1.7f;
    before[i] = static_cast<float>(i % 7) - 3.25f;
  }
  const Tensor scores = tensor(before);
  add_movement(0.125f, tensor(state.values), tensor(gradients), scores);
  for (std::size_t i = 0; i < size; ++i)
    ASSERT_EQ(scores.span<float>()[i], before[i] - 0.125f * state.values[i] * gradients[i]) << i;
}

TEST_F(PruningOps, PenaltiesPullTowardsZeroAndLeaveWhatIsThere) {
  const std::size_t size = 70'003;
  const State state = some_state(size);
  Floats before(size);
  for (std::size_t i = 0; i < size; ++i) before[i] = static_cast<float>(i % 7) - 3.25f;
  const Tensor gradient = tensor(before);
  add_penalty(0.3f, 0.07f, tensor(state.values), gradient);
  for (std::size_t i = 0; i < size; ++i) {
    const float w = state.values[i], sign = w > 0 ? 1.0f : w < 0 ? -1.0f : 0.0f;
    ASSERT_EQ(gradient.span<float>()[i], before[i] + (0.3f * sign + 0.07f * w)) << i;
    if (w == 0) {
      ASSERT_EQ(gradient.span<float>()[i], before[i]);
    }
  }
}

TEST_F(PruningOps, PrunedValuesOfAnyFloatingTypeBecomeZeroAndOthersStay) {
  const State state = some_state(3001);
  const Tensor pruned = tensor(state.pruned);
  Floats numbers(3001);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i % 100) - 50.5f;
  numbers[5] = std::numeric_limits<float>::quiet_NaN();
  pruned.span<float>()[5] = 1;
  const auto check = [&]<class T>(T) {
    const Tensor values = Tensor::empty(device, "x", Category::activations, {1, 3001}, dtype_of<T>);
    for (std::size_t i = 0; i < numbers.size(); ++i) values.span<T>()[i] = from_float<T>(numbers[i]);
    zero_where(pruned, values);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      EXPECT_EQ(to_float(values.span<T>()[i]), pruned.span<float>()[i] != 0 ? 0 : to_float(from_float<T>(numbers[i])));
  };
  check(float{});
  check(bfloat16{});
  check(float16{});
}

TEST_F(PruningOps, WhatDoesNotFitIsRefused) {
  const Tensor ten = tensor(Floats(10)), nine = tensor(Floats(9));
  std::vector<std::uint64_t> counts(key_digits);
  EXPECT_THROW(zero_where(ten, nine), Error);
  EXPECT_THROW(prune_below(ten, nine, KeyOrder::value, 0, 0), Error);
  EXPECT_THROW(prune_smallest(ten, ten, KeyOrder::value, 4, 2), Error);
  EXPECT_THROW(prune_smallest(ten, ten, KeyOrder::value, 2, 3), Error);
  EXPECT_THROW(count_keys(ten, ten, KeyOrder::value, 0, 4, counts), Error);
  EXPECT_THROW(count_keys(ten, ten, KeyOrder::value, 0, 8, std::span{counts}.first(255)), Error);
  EXPECT_THROW(add_movement(1, ten, nine, ten), Error);
  EXPECT_THROW(add_movement(1, ten, ten, nine), Error);
  EXPECT_THROW(add_penalty(1, 1, ten, nine), Error);
}

}  // namespace
}  // namespace tranche::ops
