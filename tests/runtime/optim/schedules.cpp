// Values worked out by hand from DeepSpeed's definitions; `iteration` is its last_batch_iteration, one behind the
// update.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "runtime/base/error.h"
#include "runtime/optim/schedule.h"

namespace tranche {
namespace {

TEST(Schedules, WarmupIsLogarithmicByDefaultAndThenConstant) {
  const Schedule schedule = warmup({.minimum = 0, .maximum = 0.01, .steps = 100});
  EXPECT_EQ(schedule(0).rate, 0);
  EXPECT_EQ(schedule(1).rate, 0);              // iteration 0: log(1) = 0
  EXPECT_DOUBLE_EQ(schedule(10).rate, 0.005);  // iteration 9: log(10) / log(100)
  EXPECT_DOUBLE_EQ(schedule(100).rate, 0.01);  // iteration 99: log(100) / log(100)
  EXPECT_EQ(schedule(101).rate, 0.01);
  EXPECT_EQ(schedule(1'000'000).rate, 0.01);
}

TEST(Schedules, LinearWarmupStartsAtTheMinimum) {
  const Schedule schedule = warmup({.minimum = 0.001, .maximum = 0.011, .steps = 10, .type = WarmupType::linear});
  EXPECT_DOUBLE_EQ(schedule(1).rate, 0.001);
  EXPECT_DOUBLE_EQ(schedule(6).rate, 0.006);
  EXPECT_DOUBLE_EQ(schedule(11).rate, 0.011);
}

TEST(Schedules, WarmupOfOneStepCountsAsTwo) {
  const Schedule schedule = warmup({.minimum = 0, .maximum = 1, .steps = 0});
  EXPECT_EQ(schedule(1).rate, 0);
  EXPECT_DOUBLE_EQ(schedule(2).rate, 1);  // log(2) / log(2)
}

TEST(Schedules, WarmupDecayEndsAtZero) {
  const Schedule schedule = warmup_decay({.maximum = 1, .steps = 10, .type = WarmupType::linear}, 110);
  EXPECT_DOUBLE_EQ(schedule(6).rate, 0.5);
  EXPECT_DOUBLE_EQ(schedule(11).rate, 1);  // (110 - 10) / 100
  EXPECT_DOUBLE_EQ(schedule(61).rate, 0.5);
  EXPECT_EQ(schedule(111).rate, 0);
  EXPECT_EQ(schedule(500).rate, 0);
}

TEST(Schedules, WarmupCosineFollowsHalfACosine) {
  const Schedule schedule = warmup_cosine({.rate = 2,
                                           .warmup_minimum_ratio = 0.5,
                                           .cosine_minimum_ratio = 0.1,
                                           .warmup_steps = 4,
                                           .total = 12,
                                           .type = WarmupType::linear});
  EXPECT_DOUBLE_EQ(schedule(1).rate, 1);    // ratio 0.5
  EXPECT_DOUBLE_EQ(schedule(3).rate, 1.5);  // 0.5 + 0.5 * 2/4
  EXPECT_DOUBLE_EQ(schedule(8).rate, 2 * (0.1 + 0.9 * (1 + std::cos(std::numbers::pi * 4 / 8)) / 2));
  EXPECT_NEAR(schedule(12).rate, 0.2, 1e-12);  // iteration 11 is the last: the minimum
}

TEST(Schedules, WarmupCosineNeedsRoomAfterItsWarmup) {
  EXPECT_THROW(warmup_cosine({.warmup_steps = 100, .total = 100}), Error);
}

TEST(Schedules, OneCycleRisesFallsAndDecays) {
  const Schedule schedule = one_cycle({.minimum = 0.1,
                                       .maximum = 1.1,
                                       .decay_rate = 0.5,
                                       .first_steps = 10,
                                       .second_steps = 20,
                                       .decay_steps = 5,
                                       .cycles_momentum = true,
                                       .minimum_momentum = 0.8,
                                       .maximum_momentum = 0.9});
  EXPECT_DOUBLE_EQ(schedule(0).rate, 0.1);
  EXPECT_DOUBLE_EQ(schedule(5).rate, 0.6);
  EXPECT_DOUBLE_EQ(schedule(5).betas->beta1, 0.85);
  EXPECT_DOUBLE_EQ(schedule(5).betas->beta2, 0.99);
  EXPECT_DOUBLE_EQ(schedule(10).rate, 1.1);
  EXPECT_DOUBLE_EQ(schedule(10).betas->beta1, 0.8);
  EXPECT_DOUBLE_EQ(schedule(20).rate, 0.6);
  EXPECT_DOUBLE_EQ(schedule(40).rate, 0.1 / (1 + 0.5 * 2));  // ten steps after the cycle
}

TEST(Schedules, RangeTestGrows) {
  EXPECT_DOUBLE_EQ(range_test({.minimum = 0.1, .growth = 2, .steps = 10})(5).rate, 0.2);
  EXPECT_DOUBLE_EQ(range_test({.minimum = 0.1, .growth = 2, .steps = 10, .staircase = true})(9).rate, 0.1);
  EXPECT_DOUBLE_EQ(range_test({.minimum = 0.1, .growth = 2, .steps = 10, .staircase = true})(10).rate, 0.3);
}

}  // namespace
}  // namespace tranche
