// What an event promises to those who wait for it.
#include "runtime/device/event.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace tranche::testing {
namespace {

TEST(Event, WhenDeferredIsDoneByTheFirstWhoWaitsAndOnce) {
  int done = 0;
  const Event event = Event::deferred([&] { ++done; });
  EXPECT_FALSE(event.happened());
  EXPECT_EQ(done, 0);
  event.wait();
  event.wait();
  EXPECT_TRUE(event.happened());
  EXPECT_EQ(done, 1);
}

TEST(Event, WhenDeferredAndFailedThrowsForEveryoneWhoWaits) {
  const Event event = Event::deferred([] { throw std::runtime_error("failed"); });
  EXPECT_THROW(event.wait(), std::runtime_error);
  EXPECT_THROW(event.wait(), std::runtime_error);
}

}  // namespace
}  // namespace tranche::testing
