#include "runtime/checkpoint/regions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace tranche::checkpoint {
namespace {

using ::testing::SizeIs;

// The flat indices of a box, in order, by walking its coordinates.
std::vector<std::size_t> indices_of(const Shape& shape, const hdf5::Box& box) {
  const hdf5::Extent extent = extent_of(shape);
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < box.size(); ++i) {
    std::size_t rest = i, index = 0, stride = 1;
    for (std::size_t d = extent.size(); d-- > 0; stride *= extent[d]) {
      index += (box.first[d] + rest % box.count[d]) * stride;
      rest /= box.count[d];
    }
    indices.push_back(index);
  }
  return indices;
}

TEST(Boxes, CoverEveryRangeInOrderWithFewPieces) {
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{17}, Shape{5, 7}, Shape{1, 9}, Shape{9, 1}, Shape{3, 4, 5},
                             Shape{1, 1, 6}, Shape{2, 3, 2, 4}}) {
    for (std::size_t first = 0; first <= shape.size(); ++first)
      for (std::size_t count = 0; first + count <= shape.size(); ++count) {
        std::vector<std::size_t> expected(count), covered;
        std::iota(expected.begin(), expected.end(), first);
        const std::vector<hdf5::Box> boxes = boxes_of_range(shape, first, count);
        for (const hdf5::Box& box : boxes)
          for (const std::size_t index : indices_of(shape, box)) covered.push_back(index);
        ASSERT_EQ(covered, expected) << shape << " " << first << " " << count;
        ASSERT_LE(boxes.size(), 2 * extent_of(shape).size() - 1) << shape << " " << first << " " << count;
      }
  }
}

TEST(Ranges, NameTheTensorsTheyTouch) {
  const UnitLayout unit{"u", {{"a", {2, 3}}, {"b", {}}, {"c", {4}}}};
  EXPECT_THAT(tensors_of_range(unit, 11, 5), SizeIs(0));
  const auto ranges = tensors_of_range(unit, 4, 100);
  ASSERT_THAT(ranges, SizeIs(3));
  EXPECT_EQ(ranges[0].tensor->name, "a");
  EXPECT_EQ(ranges[0].first, 4u);
  EXPECT_EQ(ranges[0].count, 2u);
  EXPECT_EQ(ranges[1].in_range, 2u);
  EXPECT_EQ(ranges[2].in_range, 3u);
  EXPECT_EQ(ranges[2].count, 4u);
}

}  // namespace
}  // namespace tranche::checkpoint
