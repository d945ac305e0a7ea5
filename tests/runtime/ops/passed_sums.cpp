// What an update says of the memory that it passes. The sums are the CPU's alone.
#include "tests/support/passed_sums.h"
#include "runtime/ops/optimizer.h"
#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

constexpr std::size_t run = 4 * block;

// The definition, element by element.
std::uint64_t expected_sum(std::span<const std::byte> bytes) {
  std::array<std::uint32_t, 16> words{}, sums{};
  for (std::size_t at = 0; at < bytes.size(); at += 4) {
    std::uint32_t word;
    std::memcpy(&word, &bytes[at], 4);
    const std::size_t lane = at / 4 % 16;
    words[lane] += word;
    sums[lane] += words[lane];
  }
  std::uint64_t value = 0;
  for (std::size_t lane = 0; lane < 16; ++lane) {
    value = (value ^ ((std::uint64_t{sums[lane]} << 32) + words[lane])) * 0x9E3779B97F4A7C15u;
    value ^= value >> 32;
  }
  return value;
}

std::vector<std::uint64_t> expected_sums(const Tensor& tensor) {
  std::vector<std::uint64_t> sums;
  const std::size_t width = bytes_of(tensor.dtype());
  for (std::size_t first = 0; first < tensor.size(); first += run)
    sums.push_back(
        expected_sum(tensor.byte_span().subspan(first * width, std::min(run, tensor.size() - first) * width)));
  return sums;
}

std::string all_bytes(const std::vector<Tensor>& tensors) {
  std::string bytes;
  for (const Tensor& tensor : tensors) bytes += bytes_of_tensors({tensor});
  return bytes;
}

class Passed : public ::testing::TestWithParam<DType> {
 protected:
  Tensor random(int seed) { return random_tensor(device, {size}, DType::float32, seed); }
  // Whether `update` says of its state what is there before and after, and does the same as without sums.
  template <class Update> void expect_sums(std::vector<Tensor> state, const Update& update) {
    const bool rounds = GetParam() != DType::float32;
    const Tensor working = rounds ? blank(device, {size}, GetParam()) : Tensor{};
    const Tensor same_working = rounds ? blank(device, {size}, GetParam()) : Tensor{};
    std::vector<Tensor> same;
    std::vector<std::vector<std::uint64_t>> before;
    for (const Tensor& each : state) {
      same.push_back(each.sibling("the same", {size}, DType::float32));
      std::ranges::copy(each.byte_span(), same.back().byte_span().begin());
      before.push_back(expected_sums(each));
    }
    update(same, same_working, PassedSums{});
    SumArrays arrays{run, size};
    update(state, working, arrays.sums);
    EXPECT_EQ(all_bytes(state), all_bytes(same));
    for (std::size_t kind = 0; kind < state.size(); ++kind) {
      EXPECT_EQ(arrays.found[kind], before[kind]) << kind;
      EXPECT_EQ(arrays.left[kind], expected_sums(state[kind])) << kind;
    }
    if (!rounds) return;
    EXPECT_EQ(bytes_of_tensors({working}), bytes_of_tensors({same_working}));
    EXPECT_EQ(arrays.working, expected_sums(working));
  }

  static constexpr std::size_t size = 2 * run + 3 * block;  // the last run is shorter
  TestDevice device{2};
};

TEST_P(Passed, AdamSumsWhatItFindsAndLeaves) {
  const Tensor square = random(3), gradient = random(4);
  for (float& each : square.span<float>()) each *= each;
  expect_sums({random(1), random(2), square}, [&](const auto& state, const Tensor& working, const PassedSums& sums) {
    adam({.rate = 1e-2f, .weight_decay = 0.1f}, state[0], state[1], state[2], gradient, working, sums);
  });
}

TEST_P(Passed, SgdSumsWhatItFindsAndLeavesWithMomentumAndWithout) {
  const Tensor gradient = random(4);
  expect_sums({random(1), random(2)}, [&](const auto& state, const Tensor& working, const PassedSums& sums) {
    sgd({.rate = 1e-2f, .momentum = 0.9f}, state[0], state[1], gradient, working, sums);
  });
  expect_sums({random(1)}, [&](const auto& state, const Tensor& working, const PassedSums& sums) {
    sgd({.rate = 1e-2f}, state[0], {}, gradient, working, sums);
  });
}

INSTANTIATE_TEST_SUITE_P(Copies, Passed, ::testing::Values(DType::float32, DType::bfloat16, DType::float16),
                         [](const auto& param) { return std::string{name_of(param.param)}; });

TEST(WordSum, ShowsEveryBitThatFlips) {
  std::vector<std::byte> bytes(256);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37);
  const std::uint64_t sum = word_sum(bytes);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const auto flip = std::byte{1} << bit % 8;
    bytes[bit / 8] ^= flip;
    EXPECT_NE(word_sum(bytes), sum) << "bit " << bit;
    bytes[bit / 8] ^= flip;
  }
}

TEST(WordSum, ShowsWordsThatChangePlaces) {
  std::vector<std::byte> bytes(128);
  bytes[0] = std::byte{1};
  std::vector<std::byte> moved(128);
  moved[64] = std::byte{1};  // the same lane
  EXPECT_NE(word_sum(bytes), word_sum(moved));
  EXPECT_NE(word_sum(std::vector<std::byte>(128)), word_sum(std::vector<std::byte>(128, std::byte{255})));
}

TEST(PassedSums, AreRefusedWhereTheSizeIsNotWholeBlocks) {
  TestDevice device;
  const Tensor odd = blank(device, {block + 1}, DType::float32);
  SumArrays arrays{run, odd.size()};
  EXPECT_THROW(sgd({.rate = 1}, odd, {}, odd, {}, arrays.sums), Error);
}

}  // namespace
}  // namespace tranche::ops
