// A rank that the kernel kills for want of memory, in a control group of its own; left out where this user can make
// none.
#include <gmock/gmock.h>

#include "tests/faults/launched.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(Launched, ARankThatIsKilledForWantOfMemoryIsToldFromOthersThatAreKilled) {
  const Result group = shell(
      "for at in /sys/fs/cgroup/memory /sys/fs/cgroup; do [ -e $at/cgroup.procs ] && mkdir $at/tranche-$$ && "
      "echo $at/tranche-$$ && exit; done 2> /dev/null; exit 1");
  ASSERT_EQ(group.exit, 0) << group.errors;
  const std::string at = group.output.substr(0, group.output.find('\n'));
  // All of the job is in it, and ranks are the largest: it is one of them that goes when they grow.
  shell("echo 150M > " + at + "/memory.limit_in_bytes || echo 150M > " + at + "/memory.max");
  const auto inside =
      folder.write("inside", "#!/bin/sh\necho $$ > " + at + "/cgroup.procs\nexec '" TRANCHE_PROGRAM "' \"$@\"\n");
  std::filesystem::permissions(inside, std::filesystem::perms::owner_all);
  const Result result = launch("-n 2 --max-restarts 0 --set model.n_embd=768", "true", inside.string());
  shell("sleep 0.2; rmdir " + at);
  EXPECT_EQ(result.exit, 6) << result.errors;
  EXPECT_THAT(result.errors, AllOf(HasSubstr("killed a process for want of memory"), HasSubstr("tranche plan")));
}

}  // namespace
}  // namespace tranche
