// Every arrangement, not only every pair of settings: some hundred runs a job, under the label `slow`.
#include "tests/parity/arrangements.h"

namespace tranche::testing {
namespace {

class WholeMatrix : public Digests {};
TEST_P(WholeMatrix, OfDigestsIsOneValue) { expect_equal_over(every_row()); }
INSTANTIATE_TEST_SUITE_P(Jobs, WholeMatrix, every_job, parameters);

}  // namespace
}  // namespace tranche::testing
