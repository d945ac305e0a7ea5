// The order of samples: every one once in an epoch, the same for any number of ranks, and the same for ever.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "runtime/data/batch_order.h"
#include "runtime/data/byte_tokenizer.h"
#include "runtime/data/permutation.h"
#include "runtime/data/tokenize_files.h"
#include "tests/runtime/data/fixtures.h"

namespace tranche::testing {
namespace {

using ::testing::ElementsAre;

const RandomKey key = RandomKey{1, Purpose::order}(0);

TEST(Permutation, IsABijectionForEverySize) {
  std::vector<std::uint64_t> sizes(200);
  std::iota(sizes.begin(), sizes.end(), 1);
  for (const std::uint64_t more : {1000u, 1023u, 1024u, 1025u, 4096u, 65'537u}) sizes.push_back(more);
  for (const std::uint64_t size : sizes) {
    const Permutation permutation{size, key};
    std::vector<bool> seen(size, false);
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t to = permutation(i);
      ASSERT_LT(to, size);
      ASSERT_FALSE(seen[to]) << "size " << size;
      seen[to] = true;
    }
  }
}

TEST(Permutation, NeedsNoTable) {
  const std::uint64_t huge = std::uint64_t{1} << 61;
  const Permutation permutation{huge + 1, key};
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(permutation(huge - i)).second);
  EXPECT_LE(*seen.rbegin(), huge);
}

// Were it uniform: an element lands in each tenth equally often (chi squared of 9 degrees of freedom, 99.9 %
// below 27.9), as many neighbours rise as fall, and one element in `size` stays where it is.
TEST(Permutation, LooksShuffled) {
  constexpr std::uint64_t size = 10'000;
  std::uint64_t stays = 0, rises = 0;
  for (std::uint64_t epoch = 0; epoch < 20; ++epoch) {
    const Permutation permutation{size, RandomKey{1, Purpose::order}(epoch)};
    std::array<double, 10> tenths{};
    for (std::uint64_t i = 0; i < size / 10; ++i) ++tenths[permutation(i) * 10 / size];
    double chi_squared = 0;
    for (const double count : tenths) chi_squared += (count - 100) * (count - 100) / 100;
    EXPECT_LT(chi_squared, 40);
    for (std::uint64_t i = 0; i < size; ++i) {
      stays += permutation(i) == i;
      rises += i + 1 < size && permutation(i) < permutation(i + 1);
    }
  }
  EXPECT_LT(stays, 50);  // 20 expected
  EXPECT_NEAR(static_cast<double>(rises), 20 * size / 2.0, 600);
}

TEST(BatchOrder, SeesEverySampleOnceInAnEpoch) {
  constexpr std::uint64_t samples = 103;  // not a multiple of a step's 12
  const BatchOrder order{samples, 3, 4, 42};
  std::vector<std::uint64_t> seen;
  for (std::uint64_t step = 0; seen.size() < 5 * samples; ++step)
    for (std::size_t micro = 0; micro < 4; ++micro)
      for (const std::uint64_t sample : order.samples_of(step, micro)) seen.push_back(sample);
  std::set<std::vector<std::uint64_t>> epochs;
  for (std::size_t epoch = 0; epoch < 5; ++epoch) {
    std::vector<std::uint64_t> of_epoch(seen.begin() + static_cast<std::ptrdiff_t>(epoch * samples),
                                        seen.begin() + static_cast<std::ptrdiff_t>((epoch + 1) * samples));
    EXPECT_TRUE(epochs.insert(of_epoch).second) << "two epochs have one order";
    std::ranges::sort(of_epoch);
    for (std::uint64_t i = 0; i < samples; ++i) ASSERT_EQ(of_epoch[i], i);
  }
}

TEST(BatchOrder, IsTheSameHoweverStepsAreCutIntoMicroBatches) {
  const BatchOrder whole{1000, 12, 1, 7}, dealt{1000, 2, 6, 7};
  for (std::uint64_t step = 0; step < 200; ++step) {
    std::vector<std::uint64_t> samples;
    for (std::size_t micro = 0; micro < 6; ++micro)
      for (const std::uint64_t sample : dealt.samples_of(step, micro)) samples.push_back(sample);
    EXPECT_EQ(samples, whole.samples_of(step, 0));
  }
}

TEST(BatchOrder, WrapsAsOftenAsNeededInAFileOfFewSamples) {
  const BatchOrder order{2, 5, 1, 7};
  const std::vector<std::uint64_t> samples = order.samples_of(3, 0);
  EXPECT_EQ(samples.size(), 5);
  EXPECT_EQ(order.epochs_before(3), 7.5);
}

// The numbers' contract: a later version that gives other samples cannot resume an earlier one's run.
TEST(BatchOrder, NeverChanges) {
  const BatchOrder order{1000, 4, 3, 1};
  EXPECT_THAT(order.samples_of(0, 0), ElementsAre(535, 721, 339, 50));
  EXPECT_THAT(order.samples_of(100, 2), ElementsAre(119, 780, 826, 897));
  EXPECT_THAT(BatchOrder(1'000'000'000'000, 4, 3, 1).samples_of(5, 1),
              ElementsAre(601979665752, 650136245540, 878591179839, 9871571021));
}

TEST(BatchOrder, DependsOnTheSeed) {
  EXPECT_NE(BatchOrder(1000, 8, 1, 1).samples_of(0, 0), BatchOrder(1000, 8, 1, 2).samples_of(0, 0));
}

TEST(SequentialOrder, GoesThroughOnce) {
  const SequentialOrder order{7, 3};
  ASSERT_EQ(order.micro_batches(), 3);
  EXPECT_THAT(order.samples_of(0), ElementsAre(0, 1, 2));
  EXPECT_THAT(order.samples_of(2), ElementsAre(6));
}

class Samples : public ::testing::Test {
 protected:
  TokenFile file_of(const std::string& text) const {
    ByteTokenizer tokenizer;
    const std::vector<std::filesystem::path> inputs{folder_.write("text.txt", text)};
    tokenize_files(tokenizer, inputs, folder_.path() / "tokens.h5");
    return TokenFile{folder_.path() / "tokens.h5"};
  }
  const TemporaryFolder folder_;
};

TEST_F(Samples, AreWindowsThatShareOneToken) {
  const TokenFile file = file_of("abcdefghijk");  // 11 tokens
  EXPECT_EQ(count_samples(file, 5), 2);
  EXPECT_EQ(count_samples(file, 10), 1);
  std::vector<Token> inputs(10), targets(10);
  read_micro_batch(file, {1, 0}, 5, inputs, targets);
  EXPECT_EQ(inputs, (std::vector<Token>{'f', 'g', 'h', 'i', 'j', 'a', 'b', 'c', 'd', 'e'}));
  EXPECT_EQ(targets, (std::vector<Token>{'g', 'h', 'i', 'j', 'k', 'b', 'c', 'd', 'e', 'f'}));
}

TEST_F(Samples, AFileShorterThanOneIsRefused) {
  const TokenFile file = file_of("abcdefghijk");
  try {
    count_samples(file, 11);
    FAIL() << "it was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::data);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("tokens.h5: 11 tokens"));
  }
}

}  // namespace
}  // namespace tranche::testing
