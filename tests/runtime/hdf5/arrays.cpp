#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

#include "runtime/base/file.h"
#include "runtime/hdf5/file.h"
#include "tests/support/temporary_folder.h"

namespace tranche::hdf5 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using tranche::testing::TemporaryFolder;

std::vector<float> counting(std::size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

TEST(Hdf5Arrays, RangesComeBackAsWritten) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  const std::vector<float> values = counting(700'000);  // more than two chunks
  {
    File file = File::create(path);
    Dataset array = file.create_dataset("units/0/values", Type::float32, {values.size()});
    array.write<float>(0, std::span{values}.first(300'001));
    array.write<float>(300'001, std::span{values}.subspan(300'001));
    file.close();
  }
  const File file = File::open(path, Exit::data);
  const Dataset array = file.dataset("units/0/values");
  EXPECT_EQ(array.type(), Type::float32);
  EXPECT_THAT(array.extent(), ElementsAre(700'000));
  std::vector<float> part(1000);
  array.read<float>(262'000, part);
  EXPECT_EQ(part, (std::vector<float>(values.begin() + 262'000, values.begin() + 263'000)));
}

TEST(Hdf5Arrays, BoxesComeBackAsWritten) {
  const TemporaryFolder folder;
  File file = File::create(folder.path() / "a.h5");
  Dataset array = file.create_dataset("cube", Type::int32, {4, 5, 6});
  const std::vector<std::int32_t> box = {1, 2, 3, 4, 5, 6, 7, 8};
  array.write<std::int32_t>(Box{{1, 2, 3}, {2, 2, 2}}, box);
  std::vector<std::int32_t> back(8), around(6);
  array.read<std::int32_t>(Box{{1, 2, 3}, {2, 2, 2}}, back);
  EXPECT_EQ(back, box);
  array.read<std::int32_t>(Box{{1, 2, 0}, {1, 1, 6}}, around);
  EXPECT_THAT(around, ElementsAre(0, 0, 0, 1, 2, 0));
}

TEST(Hdf5Arrays, GrowByAppending) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "tokens.h5";
  std::vector<std::uint16_t> all;
  {
    File file = File::create(path);
    Dataset tokens = file.create_appendable("tokens", Type::uint16, 100);
    for (std::uint16_t n = 1; n < 60; ++n) {
      const std::vector<std::uint16_t> more(n, n);
      tokens.append<std::uint16_t>(more);
      all.insert(all.end(), more.begin(), more.end());
    }
    EXPECT_EQ(tokens.size(), all.size());
    file.close();
  }
  std::vector<std::uint16_t> back(all.size());
  File::open(path, Exit::data).dataset("tokens").read<std::uint16_t>(0, back);
  EXPECT_EQ(back, all);
}

template <class T> class Hdf5Types : public ::testing::Test {};
using All = ::testing::Types<float, double, bfloat16, float16, std::int32_t, std::int64_t, std::uint8_t, std::uint16_t,
                             std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(Hdf5Types, All);

TYPED_TEST(Hdf5Types, KeepEveryBit) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  std::vector<TypeParam> values(65536);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint64_t bits = i * 0x9E3779B97F4A7C15u;  // NaNs and denormals among them
    if constexpr (sizeof(TypeParam) == 2) bits = i;
    std::memcpy(&values[i], &bits, sizeof(TypeParam));
  }
  {
    File file = File::create(path);
    file.create_dataset("x", TypeOf<TypeParam>::value, {values.size()}).template write<TypeParam>(0, values);
    file.close();
  }
  const File file = File::open(path, Exit::data);
  EXPECT_EQ(file.dataset("x").type(), TypeOf<TypeParam>::value);
  std::vector<TypeParam> back(values.size());
  file.dataset("x").template read<TypeParam>(0, back);
  EXPECT_EQ(std::memcmp(back.data(), values.data(), values.size() * sizeof(TypeParam)), 0);
}

TEST(Hdf5Attributes, ComeBackAsWritten) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  const std::string long_text(100'000, 'x');
  {
    File file = File::create(path);
    file.set_attribute("tokenizer", std::string{"byte – 256"});
    file.set_attribute("tokenizer", std::string{"bytes – 256"});  // replaces
    file.set_attribute("nothing", std::string{});
    file.set_attribute("long", long_text);
    file.set_attribute("count", std::int64_t{-5'000'000'000});
    Dataset array = file.create_dataset("x", Type::float32, {1});
    array.set_attribute("first", std::int64_t{7});
    array.set_attribute("scale", 0.1);
    file.close();
  }
  const File file = File::open(path, Exit::data);
  EXPECT_EQ(file.text_attribute("tokenizer"), "bytes – 256");
  EXPECT_EQ(file.text_attribute("nothing"), "");
  EXPECT_EQ(file.text_attribute("long"), long_text);
  EXPECT_EQ(file.integer_attribute("count"), -5'000'000'000);
  EXPECT_EQ(file.dataset("x").integer_attribute("first"), 7);
  EXPECT_EQ(file.dataset("x").real_attribute("scale"), 0.1);
  EXPECT_FALSE(file.has_attribute("colour"));
  EXPECT_THROW(file.text_attribute("colour"), Error);
  EXPECT_THROW(file.integer_attribute("tokenizer"), Error);
}

TEST(Hdf5Files, ListTheirDatasetsInOrder) {
  const TemporaryFolder folder;
  File file = File::create(folder.path() / "a.h5");
  for (const char* name : {"b/2", "b/1", "a", "c/d/e"}) file.create_dataset(name, Type::uint8, {1});
  EXPECT_THAT(file.datasets(), ElementsAre("a", "b/1", "b/2", "c/d/e"));
  EXPECT_TRUE(file.has_dataset("b/2"));
  EXPECT_FALSE(file.has_dataset("x/2"));
}

TEST(Hdf5Files, TheSameContentIsTheSameBytes) {
  const TemporaryFolder folder;
  const auto bytes_of_one = [&](const std::string& name) {
    File file = File::create(folder.path() / name);
    file.create_dataset("units/x", Type::float32, {3000}).write<float>(0, counting(3000));
    file.set_attribute("step", std::int64_t{5});
    file.close();
    std::ifstream in{folder.path() / name, std::ios::binary};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
  };
  const std::string first = bytes_of_one("a.h5");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // the format's times are in seconds
  EXPECT_TRUE(first == bytes_of_one("b.h5"));
}

TEST(Hdf5Contiguous, LiesWhereItSays) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  std::uint64_t place = 0;
  {
    File file = File::create(path);
    file.create_contiguous("before", Type::uint8, 3);
    place = file.create_contiguous("units/x", Type::float32, 5000).place();
    EXPECT_THROW(file.create_dataset("chunked", Type::float32, {10}).place(), Error);
    file.close();
  }
  const std::vector<float> values = counting(5000);
  {
    tranche::File bytes = tranche::File::open_to_write(path);
    bytes.write(place, std::as_bytes(std::span{values}));
    bytes.close();
  }
  const File file = File::open(path, Exit::data);
  EXPECT_EQ(file.dataset("units/x").place(), place);
  std::vector<float> back(5000);
  file.dataset("units/x").read<float>(0, back);
  EXPECT_EQ(back, values);
}

TEST(Hdf5Virtual, SeesOtherFilesAndNaNWhereTheyAreMissing) {
  const TemporaryFolder folder;
  for (const char* name : {"left.h5", "right.h5"}) {
    File file = File::create(folder.path() / name);
    const float offset = name[0] == 'l' ? 0.0f : 100.0f;
    std::vector<float> values = counting(6);
    for (float& each : values) each += offset;
    file.create_dataset("part", Type::float32, {6}).write<float>(0, values);
    file.close();
  }
  {
    File file = File::create(folder.path() / "whole.h5");
    file.create_virtual("x", Type::float32, {3, 4},
                        std::vector<VirtualPiece>{{{{0, 0}, {1, 4}}, "left.h5", "part", {{0}, {4}}},
                                                  {{{1, 0}, {1, 2}}, "left.h5", "part", {{4}, {2}}},
                                                  {{{1, 2}, {1, 2}}, "right.h5", "part", {{0}, {2}}}});
    file.close();
  }
  const auto look = [&] {
    std::vector<float> whole(12);
    File::open(folder.path() / "whole.h5", Exit::data).dataset("x").read<float>(Box{{0, 0}, {3, 4}}, whole);
    return whole;
  };
  using ::testing::IsNan;
  EXPECT_THAT(look(), ElementsAre(0, 1, 2, 3, 4, 5, 100, 101, IsNan(), IsNan(), IsNan(), IsNan()));
  std::filesystem::remove(folder.path() / "right.h5");
  EXPECT_THAT(look(), ElementsAre(0, 1, 2, 3, 4, 5, IsNan(), IsNan(), IsNan(), IsNan(), IsNan(), IsNan()));
}

TEST(Hdf5Threads, TakeTurns) {
  const TemporaryFolder folder;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const auto path = folder.path() / str(t, ".h5");
      File file = File::create(path);
      for (int d = 0; d < 20; ++d)
        file.create_dataset(str("d", d), Type::float32, {1000}).write<float>(0, counting(1000));
      file.close();
      std::vector<float> back(1000);
      const File again = File::open(path, Exit::data);
      for (int d = 0; d < 20; ++d) {
        again.dataset(str("d", d)).read<float>(0, back);
        EXPECT_EQ(back, counting(1000));
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tranche::hdf5
