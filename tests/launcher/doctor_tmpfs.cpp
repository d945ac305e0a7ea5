// What `tranche doctor` says of little room, on a file system of its own; left out where this user can mount none.
#include <gmock/gmock.h>

#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class DoctorOfTmpfs : public Program {};

TEST_F(DoctorOfTmpfs, AFullTmpfsFails) {
  const std::string mount = "mkdir -p full; unshare -m sh -c 'mount -t tmpfs -o size=1m none full";
  const std::string program = "\"$0\" doctor --mpirun false --folder full' '" TRANCHE_PROGRAM "'";
  const Result full = shell(mount + "; head -c 2M /dev/zero > full/a; " + program);
  EXPECT_EQ(full.exit, 8) << full.errors;
  EXPECT_THAT(full.output, AllOf(HasSubstr("FAILED  folder"), HasSubstr("No space left"), HasSubstr("--folder")));
  const Result small = shell(mount + "; mount --bind full /dev/shm; " + program);
  EXPECT_THAT(small.output,
              AllOf(HasSubstr("NOTE    folder"), HasSubstr("lies in memory (tmpfs)"), HasSubstr("NOTE    disk"),
                    HasSubstr("NOTE    shared memory"), HasSubstr("--shm-size")));
}

}  // namespace
}  // namespace tranche
