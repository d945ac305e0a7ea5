#include "runtime/ops/embedding.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

class Embedding : public EveryDType {
 protected:
  // Some tokens come often, some never.
  Tensor tokens_below(std::size_t vocabulary, std::size_t count, Device& on) const {
    Values tokens(count);
    for (std::size_t i = 0; i < count; ++i) tokens[i] = static_cast<double>(i * i % vocabulary);
    return tensor_of(on, {count}, DType::int32, tokens);
  }
};
INSTANTIATE_TEST_SUITE_P(DTypes, Embedding, testing::ValuesIn(floating_dtypes), dtype_name);

TEST_P(Embedding, CopiesRows) {
  for (const std::size_t width : {1u, 15u, 17u, 1025u}) {
    const Tensor table = random_tensor(device, {100, width}, dtype, 1), tokens = tokens_below(100, 250, device);
    const Tensor y = blank(device, {250, width}, dtype);
    embedding(tokens, table, y);
    for (std::size_t i = 0; i < 250; ++i)
      for (std::size_t c = 0; c < width; ++c)
        ASSERT_EQ(read(y, i * width + c), read(table, static_cast<std::size_t>(read(tokens, i)) * width + c));
  }
}

// In float32, in the order of tokens, and rounded once: exactly.
TEST_P(Embedding, GradientsAreSummedInOrderAndRoundedOnce) {
  for (const bool holds_values : {false, true}) {
    for (const std::size_t width : {1u, 15u, 17u, 1025u, 2500u}) {
      const std::size_t vocabulary = 100, count = 250;
      const Tensor tokens = tokens_below(vocabulary, count, device),
                   dy = random_tensor(device, {count, width}, dtype, 1);
      const Tensor dtable = holds_values ? random_tensor(device, {vocabulary, width}, dtype, 2)
                                         : blank(device, {vocabulary, width}, dtype);
      std::vector<float> sums(vocabulary * width);
      for (std::size_t i = 0; i < count; ++i)
        for (std::size_t c = 0; c < width; ++c)
          sums[static_cast<std::size_t>(read(tokens, i)) * width + c] += static_cast<float>(read(dy, i * width + c));
      if (holds_values)
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = static_cast<float>(read(dtable, i)) + sums[i];
      embedding_gradient(tokens, dy, {dtable, holds_values});
      for (std::size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(read(dtable, i), double{rounded(sums[i], dtype)}) << i;
    }
  }
}

TEST_P(Embedding, GivesTheSameBitsEverywhere) {
  expect_same_bits_everywhere([&](Device& on) {
    const Tensor tokens = tokens_below(500, 3000, on), dy = random_tensor(on, {3000, 65}, dtype, 1);
    const Tensor table = random_tensor(on, {500, 65}, dtype, 2), y = blank(on, {3000, 65}, dtype);
    embedding(tokens, table, y);
    embedding_gradient(tokens, dy, {table, true});
    return bytes_of_tensors({y, table});
  });
}

TEST(Positions, CountWithinEachRow) {
  TestDevice device;
  const Tensor numbers = blank(device, {2, 3}, DType::int32);
  positions(numbers);
  EXPECT_EQ(read(numbers), (Values{0, 1, 2, 0, 1, 2}));
  positions(numbers, 5);
  EXPECT_EQ(read(numbers), (Values{5, 6, 7, 5, 6, 7}));
  EXPECT_THROW(positions(blank(device, {2, 3}, DType::float32)), Error);
}

TEST(EmbeddingTokens, OutsideTheTableAreNamed) {
  TestDevice device;
  const Tensor table = random_tensor(device, {10, 4}, DType::float32, 1), y = blank(device, {3, 4}, DType::float32);
  for (const double bad : {10.0, -1.0, -100.0}) {
    const Tensor tokens = tensor_of(device, {3}, DType::int32, {9, bad, 0});
    const std::string message = str("token 1 is ", static_cast<int>(bad), ", expected 0 to 9");
    try {
      embedding(tokens, table, y);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), "embedding: " + message);
      EXPECT_EQ(error.exit(), Exit::data);
    }
    EXPECT_THROW(embedding_gradient(tokens, y, {table, false}), Error);
  }
  EXPECT_TRUE(std::isnan(read(y, 0)));  // nothing was written
}

TEST(EmbeddingArguments, ThatDoNotMatchAreRefused) {
  TestDevice device;
  const Tensor table = random_tensor(device, {10, 4}, DType::float32, 1);
  const Tensor tokens = tensor_of(device, {3}, DType::int32, {0, 1, 2});
  EXPECT_THROW(embedding(tokens, table, blank(device, {3, 5}, DType::float32)), Error);
  EXPECT_THROW(embedding(tokens, table, blank(device, {2, 4}, DType::float32)), Error);
  EXPECT_THROW(embedding(tokens, table, blank(device, {3, 4}, DType::float16)), Error);
  EXPECT_THROW(embedding(table, table, blank(device, {3, 4}, DType::float32)), Error);
}

}  // namespace
}  // namespace tranche::ops
