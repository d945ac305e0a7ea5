// configs/cluster/prometheus.yml in Prometheus itself, beside a run that trains.
#include <gmock/gmock.h>

#include "tests/launcher/daemons.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

class Prometheus : public TrainingProgram {
 protected:
  testing::Daemons daemons;
};

TEST_F(Prometheus, ReadsARun) {
  const std::string config = TRANCHE_CLUSTER "/prometheus.yml";
  EXPECT_EQ(shell("promtool check config '" + config + "'").exit, 0);
  // The same file, on ports that are free here, and less patient.
  const std::uint16_t page = testing::free_port(), port = testing::free_port();
  ASSERT_EQ(shell(str("sed 's/127.0.0.1:8080/127.0.0.1:", page, "/; s/5s/1s/' '", config, "' > own.yml; grep -q ", page,
                      " own.yml"))
                .exit,
            0);
  daemons.start(folder.path() / "prometheus.log",
                {"prometheus", "--log.level=error", str("--config.file=", (folder.path() / "own.yml").string()),
                 str("--storage.tsdb.path=", (folder.path() / "figures").string()),
                 str("--web.listen-address=127.0.0.1:", port)});
  const Result result =
      shell(str("'", TRANCHE_PROGRAM, "' launch -n 1 --port ", page, " job.json steps=1000000 & launch=$!; ",
                "for i in $(seq 100); do promtool query instant http://127.0.0.1:", port,
                " 'tranche_step{job=\"tranche\"} > 20' > answer 2> /dev/null; grep -q tranche_step answer && break; "
                "sleep 0.2; done; ",
                "kill $launch; wait $launch; cat answer"));
  EXPECT_THAT(result.output, ::testing::StartsWith("tranche_step{"))
      << result.errors << shell("cat prometheus.log").output;
}

}  // namespace
}  // namespace tranche
