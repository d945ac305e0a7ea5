#include <gtest/gtest.h>

#include "runtime/base/random.h"

namespace tranche {
namespace {

// Known answers of the authors' Random123 distribution (kat_vectors, philox4x32 10).
TEST(Philox, AgreesWithItsAuthors) {
  const std::array<std::uint32_t, 4> zeros = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
  const std::array<std::uint32_t, 4> ones = {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu};
  const std::array<std::uint32_t, 4> digits_of_pi = {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u};
  EXPECT_EQ(philox(0, 0, 0), zeros);
  EXPECT_EQ(philox(~0ull, ~0ull, ~0ull), ones);
  EXPECT_EQ(philox(0x299f31d0a4093822ull, 0x85a308d3243f6a88ull, 0x0370734413198a2eull), digits_of_pi);
}

TEST(RandomKeys, NameDifferentStreams) {
  const RandomKey key{1, Purpose::dropout};
  EXPECT_NE(key(0).bits(), key(1).bits());
  EXPECT_NE(key(0).bits(), (RandomKey{2, Purpose::dropout}(0).bits()));
  EXPECT_NE(key(0).bits(), (RandomKey{1, Purpose::order}(0).bits()));
  EXPECT_NE(key(1)(0).bits(), key(0)(1).bits());
  EXPECT_EQ(key.number(6), key.group(1)[2]);
}

TEST(RandomKeys, UniformStaysBelowOne) {
  EXPECT_EQ(uniform(0), 0.0f);
  EXPECT_LT(uniform(~0u), 1.0f);
}

}  // namespace
}  // namespace tranche
