// `tranche top` beside a run that trains.
#include <gmock/gmock.h>

#include <regex>

#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TopOfALaunch : public TrainingProgram {
 protected:
  // The step of a picture, and the loss that it shows.
  void expect_true_figures(const std::string& picture) const {
    static const std::regex step{"\nstep ([0-9]+)"}, loss{"\nloss ([^ ]+)"};
    std::smatch of_step, of_loss;
    ASSERT_TRUE(std::regex_search(picture, of_step, step) && std::regex_search(picture, of_loss, loss)) << picture;
    const std::size_t number = std::stoul(of_step[1]);
    ASSERT_LE(number, metrics().size());
    EXPECT_NEAR(std::stod(of_loss[1]), metrics()[number - 1]["loss"].get<double>(), 1e-3);
  }
};

TEST_F(TopOfALaunch, ShowsItsRanksWhileItTrainsAndItsFiguresAfterwards) {
  const std::string page = launch_with_page(200);
  const Result by_page = run("top " + page + " | cat"), by_folder = run("top runs/job | cat");
  shell("kill $(cat process); while kill -0 $(cat process) 2> /dev/null; do sleep 0.1; done");
  ASSERT_THAT(page, ::testing::StartsWith("http://127.0.0.1:"));
  EXPECT_THAT(by_page.output,
              AllOf(HasSubstr("runs/job   running   2 ranks"), HasSubstr("/100000"), HasSubstr(" left\n"),
                    HasSubstr("device memory"), HasSubstr("training"), HasSubstr(" s ago")))
      << by_page.errors;
  expect_true_figures(by_page.output);
  EXPECT_THAT(by_folder.output, HasSubstr("runs/job   last step 0 s ago")) << by_folder.errors;
  expect_true_figures(by_folder.output);
  // What the supervisor leaves of ranks, and the job that the checkpoint holds.
  const Result afterwards = run("top | cat");
  EXPECT_THAT(afterwards.output,
              AllOf(HasSubstr("2 ranks"), HasSubstr("/100000"), HasSubstr("device memory"), HasSubstr("% of ")))
      << afterwards.errors;
  expect_true_figures(afterwards.output);
}

}  // namespace
}  // namespace tranche
