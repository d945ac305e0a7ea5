// Partition between processes, by the bodies that test it between threads.
#include "tests/partition/stores.h"
#include "tests/partition/sums.h"
#include "tests/ranks/session.h"

namespace tranche::testing {
namespace {

class MpiPartition : public ::testing::TestWithParam<std::size_t> {
 protected:
  CpuDevice device_{1, Device::unlimited, Sharing::with_host};
  std::unique_ptr<Communicator> world_ = session().communicator(device_);
};

TEST_P(MpiPartition, SumsAreThoseOfTheDefinition) {
  for (const bool overlap : {false, true})
    sums_are_those_of_the_definition(*world_, {world_->size(), GetParam(), 1, overlap, DType::bfloat16});
  if (GetParam() <= 1)
    sums_are_those_of_the_definition(*world_,
                                     {world_->size(), GetParam(), world_->size() == 3 ? 2u : 3u, true, DType::float32});
}

TEST_P(MpiPartition, EveryVisitSeesTheNewestValues) {
  for (const bool overlap : {false, true})
    every_visit_sees_the_newest_values(*world_, {world_->size(), GetParam(), DType::float16, overlap});
}

TEST_P(MpiPartition, BetweenStepsOnlyWhatTheStagePromisesIsAlive) {
  between_steps_only_what_the_stage_promises_is_alive(*world_, {world_->size(), GetParam(), DType::float32});
}

INSTANTIATE_TEST_SUITE_P(Stages, MpiPartition, ::testing::Values(0u, 1u, 2u, 3u));

}  // namespace
}  // namespace tranche::testing
