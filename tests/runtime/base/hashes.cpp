#include <gtest/gtest.h>

#include "runtime/base/checksum.h"
#include "runtime/base/sha256.h"

namespace tranche {
namespace {

// FIPS 180-4's own examples.
TEST(Sha256, AgreesWithItsStandard) {
  EXPECT_EQ(Sha256{}.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 abc;
  abc.add("abc");
  EXPECT_EQ(abc.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, DoesNotDependOnHowTheBytesAreCut) {
  Sha256 pieces;
  pieces.add("abcdbcdecdefdefgefghfghighij");
  EXPECT_EQ(pieces.hex().size(), 64u);  // looking does not end it
  pieces.add("hijkijkljklmklmnlmnomnopnopq");
  EXPECT_EQ(pieces.hex(), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

// The empty input's value is in the xxHash repository's own test vectors.
TEST(Checksums, AgreeWithTheLibrarysAuthors) { EXPECT_EQ(Checksum{}.hex(), "99aa06d3014798d86001c324468d497f"); }

TEST(Checksums, NoticeEveryFlippedBitAndNoCut) {
  const std::string text = "every tensor whole, under its own name";
  Checksum whole, pieces;
  whole.add(text);
  for (const char c : text) pieces.add(std::string_view{&c, 1});
  EXPECT_EQ(whole.hex(), pieces.hex());
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    Checksum other;
    other.add(damaged);
    ASSERT_NE(other.hex(), whole.hex()) << bit;
  }
}

}  // namespace
}  // namespace tranche
