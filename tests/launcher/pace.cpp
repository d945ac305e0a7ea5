// Who holds the others up, by what ranks say of their own time.
#include "launcher/control/pace.h"

#include <gmock/gmock.h>

namespace tranche {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class Paces : public ::testing::Test {
 protected:
  // Ten steps of all ranks in the window that then ends, of so many milliseconds each; what is told of them.
  using Step = std::map<std::string, double>;
  std::vector<std::string> after(const std::vector<Step>& of_ranks) {
    if (now_ == Pace::Time{}) pace_.judge(now_ += seconds{1});
    said_.resize(of_ranks.size());
    for (std::size_t rank = 0; rank < of_ranks.size(); ++rank) {
      said_[rank].steps += 10;
      for (const auto& [kind, milliseconds] : of_ranks[rank]) said_[rank].seconds[kind] += 10 * milliseconds / 1000;
      pace_.says(rank, said_[rank]);
    }
    return pace_.judge(now_ += seconds{10});
  }

  Pace pace_{3, seconds{10}};
  Pace::Time now_{};
  std::vector<Activity> said_;
};

const std::map<std::string, double> usual{{"compute", 20}, {"optimizer", 5}, {"wait", 3}};

TEST_F(Paces, TellOfASlowRankOnceWithWhereItsTimeGoes) {
  const std::map<std::string, double> slow{{"compute", 20}, {"optimizer", 5}, {"disk", 40}},
      waiting{{"compute", 20}, {"optimizer", 5}, {"wait", 40}};
  EXPECT_THAT(after({usual, usual, usual}), IsEmpty());
  EXPECT_THAT(after({waiting, slow, waiting}),
              ElementsAre("rank 1 is slow: its own work takes 65 ms of a step, that of the others 25 ms; most of the "
                          "difference is in disk"));
  EXPECT_THAT(after({waiting, slow, waiting}), IsEmpty());
  EXPECT_THAT(after({usual, usual, usual}), ElementsAre("rank 1 is no longer slower than the others"));
}

TEST_F(Paces, SayNothingOfWhatDoesNotMatter) {
  EXPECT_THAT(after({usual, {{"compute", 30}, {"optimizer", 9}}, usual}), IsEmpty());  // half as long again
  // Three times the work of others, next to a network that takes nearly all of the step.
  EXPECT_THAT(after({{{"compute", 1}, {"wait", 99}}, {{"compute", 3}, {"wait", 97}}, {{"compute", 1}, {"wait", 99}}}),
              IsEmpty());
}

TEST_F(Paces, AreOfTheLastWindow) {
  after({usual, usual, usual});
  after({usual, {{"compute", 10}, {"optimizer", 5}, {"wait", 13}}, usual});
  EXPECT_THAT(pace_.of_step(1), UnorderedElementsAre(Pair("compute", ::testing::DoubleNear(0.010, 1e-9)),
                                                     Pair("optimizer", ::testing::DoubleNear(0.005, 1e-9)),
                                                     Pair("wait", ::testing::DoubleNear(0.013, 1e-9))));
}

TEST_F(Paces, AreKnownBeforeTheFirstWindowEnds) {
  EXPECT_THAT(pace_.of_step(0), IsEmpty());
  pace_.says(0, {.steps = 4, .seconds = {{"compute", 0.2}}});
  EXPECT_THAT(pace_.of_step(0), ElementsAre(Pair("compute", ::testing::DoubleNear(0.05, 1e-9))));
}

}  // namespace
}  // namespace tranche
