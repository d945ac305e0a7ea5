#include "compress/sparse_tensor.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <limits>

#include "runtime/base/error.h"
#include "runtime/base/random.h"
#include "tests/support/temporary_folder.h"

namespace tranche::compress {
namespace {

using ::testing::HasSubstr;
using Floats = std::vector<float>;

// A value where `stored` says so.
template <class Stored> Floats values_of(std::size_t size, Stored stored) {
  const RandomKey key{11, Purpose::order};
  Floats values(size);
  for (std::size_t i = 0; i < size; ++i)
    if (stored(i, key.number(i))) values[i] = static_cast<float>(key.number(size + i)) - 2e9f;
  return values;
}
Floats unpacked(const PackedTensor& tensor) {
  Floats values(tensor.shape.size(), 7.0f);
  if (is_sparse(tensor.form))
    unpack_sparse(tensor, "file", values);
  else
    std::memcpy(values.data(), tensor.values.data(), tensor.values.size());
  return values;
}
bool same_bits(const Floats& a, const Floats& b) {
  return std::ranges::equal(
      a, b, {}, [](float x) { return std::bit_cast<std::uint32_t>(x); },
      [](float x) { return std::bit_cast<std::uint32_t>(x); });
}

TEST(SparseTensors, KeepEveryBitInTheFormOfFewestBytes) {
  struct Case {
    Shape shape;
    TensorForm form;
    std::function<bool(std::size_t, std::uint32_t)> stored;
  };
  const auto half = [](std::size_t, std::uint32_t number) { return number % 2 == 0; };
  const auto two = [](std::size_t i, std::uint32_t) { return i % 4 == i / 4 % 3 || i % 4 == i / 4 % 3 + 1; };
  for (const Case& each : {Case{{40, 52}, TensorForm::bitmap, half}, Case{{13, 7}, TensorForm::bitmap, half},
                           Case{{40, 52}, TensorForm::two_of_four, two}, Case{{3, 12}, TensorForm::two_of_four, two},
                           Case{{3, 14}, TensorForm::bitmap, two},
                           Case{{9, 9}, TensorForm::float32, [](std::size_t, std::uint32_t) { return true; }},
                           Case{{8, 8}, TensorForm::bitmap, [](std::size_t, std::uint32_t) { return false; }},
                           Case{{8, 8}, TensorForm::bitmap, [](std::size_t i, std::uint32_t) { return i == 63; }}}) {
    Floats values = values_of(each.shape.size(), each.stored);
    if (each.form != TensorForm::bitmap || each.shape.rows() > 8) {
      for (float& value : values)  // two that a careless test for zero loses
        if (value != 0) {
          value = value < 0 ? -0.0f : 1e-42f;
          break;
        }
    }
    const PackedTensor tensor = pack_sparse("w", each.shape, values);
    EXPECT_EQ(tensor.form, each.form) << each.shape;
    EXPECT_EQ(tensor.values.size(), tensor.value_bytes());
    EXPECT_LE(tensor.value_bytes(), 4 * values.size());
    EXPECT_TRUE(same_bits(unpacked(tensor), values)) << each.shape;
  }
}

TEST(SparseTensors, HalfOfTheWeightsTakeLessThan54PercentOfTheBytes) {
  const auto first_half = [](std::size_t i, std::uint32_t) { return i % 2 == 0; };
  const PackedTensor tensor = pack_sparse("w", {64, 64}, values_of(4096, first_half));
  EXPECT_EQ(tensor.value_bytes(), 4096 * 4 / 2 + 4096 / 8);
}

TEST(SparseTensors, WhatIsNotFiniteIsRefused) {
  Floats values(16);
  values[3] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(pack_sparse("w", {4, 4}, values), Error);
}

// What a file with a right checksum may still say.
class ForgedSparse : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "model.packed";

  std::string complaint_about(const PackedTensor& forged) {
    try {
      PackedWriter writer{path};
      writer.append(forged);
      writer.finish({Scheme::sparse, Json::object(), "byte", ""});
      const PackedTensor read = PackedFile{path}.read(0);
      Floats values(read.shape.size());
      unpack_sparse(read, "file", values);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::checkpoint) << error.what();
      return error.what();
    }
    return "";
  }
  static PackedTensor bitmap() {
    return pack_sparse("w", {3, 7}, values_of(21, [](std::size_t i, std::uint32_t) { return i % 3 == 0; }));
  }
  static PackedTensor two_of_four() {
    return pack_sparse("w", {2, 8}, values_of(16, [](std::size_t i, std::uint32_t) { return i % 2 == 0; }));
  }
};

TEST_F(ForgedSparse, ABitmapThatDoesNotFitItsValuesIsRefused) {
  EXPECT_EQ(complaint_about(bitmap()), "");
  PackedTensor more = bitmap(), fewer = bitmap(), beyond = bitmap();
  more.values[0] |= std::byte{2};
  EXPECT_THAT(complaint_about(more), HasSubstr("more bits than the 7 values"));
  fewer.values[0] = std::byte{0};
  EXPECT_THAT(complaint_about(fewer), HasSubstr("bits for 7 values"));
  beyond.values[0] &= ~std::byte{1};
  beyond.values[2] |= std::byte{0x80};
  EXPECT_THAT(complaint_about(beyond), HasSubstr("beyond its last element"));
}

TEST_F(ForgedSparse, AnAbsurdNumberOfValuesIsRefused) {
  PackedTensor many = bitmap();
  many.stored = 22;
  many.values.resize(many.value_bytes());
  EXPECT_THAT(complaint_about(many), HasSubstr("22 of 21 values are stored"));
  PackedTensor few = two_of_four();
  few.stored = 7;
  few.values.resize(few.value_bytes());
  EXPECT_THAT(complaint_about(few), HasSubstr("and 7 in all"));
  PackedTensor odd = bitmap();
  odd.form = TensorForm::two_of_four;
  EXPECT_THAT(complaint_about(odd), HasSubstr("two of four are stored of shape"));
}

TEST_F(ForgedSparse, IndicesThatDoNotRiseAreRefused) {
  EXPECT_EQ(complaint_about(two_of_four()), "");
  for (const unsigned indices : {0x00u, 0x05u, 0x01u, 0x03u}) {
    PackedTensor forged = two_of_four();
    forged.values[0] = static_cast<std::byte>(indices);
    EXPECT_THAT(complaint_about(forged), HasSubstr("which do not rise")) << indices;
  }
}

}  // namespace
}  // namespace tranche::compress
