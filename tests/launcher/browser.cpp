// The page of a run that trains, and a report, as a browser shows them: figures are those of metrics.jsonl.
#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <iterator>
#include <map>
#include <regex>

#include "runtime/base/json.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

class Browser : public TrainingProgram {
 protected:
  // Prints what a browser makes of `address`, once nothing more comes from there.
  static std::string browse(const std::string& address) {
    return "'" TRANCHE_CHROMIUM
           "' --headless --no-sandbox --disable-gpu --user-data-dir=browser --dump-dom "
           "--virtual-time-budget=3000 " +
           address;
  }
  // Of the table of runs: the first run's cells by their column's head.
  static std::map<std::string, std::string> figures(const std::string& page) {
    const std::size_t begin = page.find("<table id=\"runs\">"), end = page.find("</table>", begin);
    if (begin == page.npos || end == page.npos) return {};
    const std::string table = page.substr(begin, end - begin);
    const auto cells = [&](const char* pattern) {
      const std::regex cell{pattern};
      std::vector<std::string> all;
      for (std::sregex_iterator at{table.begin(), table.end(), cell}, none; at != none; ++at)
        all.push_back((*at)[1].str());
      return all;
    };
    const std::vector<std::string> heads = cells("<th[^>]*>([^<]*)</th>"), values = cells("<td[^>]*>([^<]*)</td>");
    std::map<std::string, std::string> found;
    for (std::size_t i = 0; i < heads.size() && i < values.size(); ++i) found[heads[i]] = values[i];
    return found;
  }
  void expect_equal(const std::map<std::string, std::string>& page, const std::vector<Json>& lines) const {
    ASSERT_TRUE(page.contains("steps") && page.contains("last loss") && page.contains("lowest loss"));
    const std::size_t steps = std::stoul(page.at("steps"));
    ASSERT_GE(steps, 1u);
    ASSERT_LE(steps, lines.size());
    double lowest = 1e300;
    for (std::size_t i = 0; i < steps; ++i) lowest = std::min(lowest, lines[i]["loss"].get<double>());
    EXPECT_NEAR(std::stod(page.at("last loss")), lines[steps - 1]["loss"].get<double>(), 1e-4);
    EXPECT_NEAR(std::stod(page.at("lowest loss")), lowest, 1e-4);
  }
};

TEST_F(Browser, ShowsARunWhileItTrains) {
  const std::string address = launch_with_page(500);
  // It listens for as long as the supervisor lives.
  const std::string page = shell(browse(address) +
                                 " > page & sleep 4; ps -o cputimes=,etimes= -p $(cat process) > used; "
                                 "kill $(cat process); wait; cat page")
                               .output;
  ASSERT_THAT(address, ::testing::StartsWith("http://127.0.0.1:"));
  EXPECT_THAT(page, ::testing::HasSubstr("tokens per second</h2><svg"));
  const auto figures_shown = figures(page);
  expect_equal(figures_shown, metrics());
  EXPECT_EQ(figures_shown.at("ranks"), "2");
  // The table of ranks, to its last column; the page may have been told the end as well.
  EXPECT_THAT(page, ::testing::AnyOf(::testing::HasSubstr(" s ago</td>"), ::testing::HasSubstr(">has left</td>")));
  // Rank 0's memory, as its lines have it, in the row that it told the supervisor; and where its steps' time goes.
  std::array<char, 32> parameters{};
  std::snprintf(parameters.data(), parameters.size(), "%.3g KiB",
                metrics().back()["peak_bytes"]["parameters"].get<double>() / 1024);
  EXPECT_THAT(page, ::testing::AllOf(::testing::HasSubstr("<th>device: parameters</th>"),
                                     ::testing::HasSubstr(str("<td class=\"number\">", parameters.data(), "</td>")),
                                     ::testing::HasSubstr("<th>compute</th>")));
  EXPECT_THAT(page, ::testing::Not(::testing::HasSubstr(">undefined<")));
  std::ifstream seconds{folder.path() / "used"};  // of the processor, of the clock
  double computing = 1e300, running = 0;
  seconds >> computing >> running;
  EXPECT_LE(computing, 1 + running / 4) << "who watches takes the ranks' time";
}

TEST_F(Browser, ShowsAReport) {
  ASSERT_EQ(run("train job.json --set steps=12 --set checkpoint.every=5").exit, 0);
  ASSERT_EQ(run("report runs/job").exit, 0);
  const std::string page = shell(browse("file://" + (folder.path() / "report.html").string())).output;
  const auto figures_shown = figures(page);
  expect_equal(figures_shown, metrics());
  EXPECT_EQ(figures_shown.at("steps"), "12");
  EXPECT_EQ(figures_shown.at("stage"), "0");
  EXPECT_THAT(page, ::testing::HasSubstr("saved a checkpoint; training waited"));
  EXPECT_THAT(page, ::testing::HasSubstr("memory of rank 0"));
}

}  // namespace
}  // namespace tranche
