// A device of shapes counts every byte and has none.
#include "runtime/device/shape_device.h"

#include <gtest/gtest.h>

#include "runtime/base/error.h"

namespace tranche::testing {
namespace {

TEST(ShapeDevice, CountsWhatNoMachineHas) {
  ShapeDevice device;
  const std::size_t terabyte = std::size_t{1} << 40;
  const Buffer a = device.allocate(terabyte, Category::parameters, "a");
  {
    const Buffer b = device.allocate(terabyte, Category::gradients, "b");
    EXPECT_NE(a.data(), b.data());
  }
  EXPECT_EQ(device.ledger().live(), terabyte);
  EXPECT_EQ(device.ledger().peak(), 2 * terabyte);
}

TEST(ShapeDevice, HasACapacity) {
  ShapeDevice device{1000};
  const Buffer held = device.allocate(600, Category::parameters, "held");
  EXPECT_THROW(device.allocate(401, Category::parameters, "too much"), Error);
}

TEST(ShapeDevice, ReadsAsZeroOnTheHost) {
  ShapeDevice device;
  const Buffer buffer = device.allocate(64, Category::activations, "loss");
  device.fill_zero(buffer.data(), buffer.bytes());
  double value = 1;
  device.read(buffer.data(), std::as_writable_bytes(std::span{&value, 1}));
  EXPECT_EQ(value, 0);
}

TEST(ShapeDeviceDeathTest, ATouchEndsTheProcess) {
  ShapeDevice device;
  const Buffer buffer = device.allocate(64, Category::activations, "nothing");
  volatile std::byte* const data = buffer.data();
  EXPECT_DEATH(data[0] = std::byte{1}, "");
  EXPECT_DEATH(static_cast<void>(std::byte{data[0]}), "");
}

// As a plan of a GPU's job does, where state passes through memory of the host.
TEST(ShapeDevice, WhatIsReadIntoMemoryOfShapesTouchesNothing) {
  ShapeDevice device, host{Device::unlimited, Tier::host};
  const Buffer from = device.allocate(4096, Category::optimizer, "state"),
               to = host.allocate(4096, Category::optimizer, "state on the host");
  device.read(from.data(), {to.data(), to.bytes()});
}

}  // namespace
}  // namespace tranche::testing
