#include "launcher/top/rank_lines.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "launcher/progress.h"
#include "launcher/top/chart.h"

namespace tranche {
namespace {

constexpr std::size_t bar_columns = 9, work_columns = 16;  // the latter: "23% of 184 ms"
constexpr int long_silence = 3;                            // seconds; a rank speaks five times in one

// "12 s ago", "gone", "never", "has left".
bool silent(const std::string& heard) {
  if (heard == "gone" || heard == "never") return true;
  if (heard.empty() || std::isdigit(static_cast<unsigned char>(heard[0])) == 0) return false;
  const bool seconds = heard.ends_with(" s ago");
  return !seconds || std::atoi(heard.c_str()) >= long_silence;
}

struct Judged {
  const RankShown* rank;
  std::size_t number;
  bool slow, lost;
};

// As many columns of the table as there is room for.
struct Columns {
  std::size_t host = 0, phase = 0, work = 0, heard = 0, collective = 0;  // 0: left out
};

Columns columns_for(const std::vector<RankShown>& ranks, std::size_t width) {
  std::size_t host = 4;
  for (const RankShown& rank : ranks) host = std::max(host, columns_of(rank.host));
  Columns columns;
  std::size_t left = width > 14 ? width - 14 : 0;  // rank and step
  const auto take = [&](std::size_t& column, std::size_t wanted) {
    if (left >= wanted) left -= column = wanted;
  };
  take(columns.phase, 10);
  take(columns.work, left < work_columns + bar_columns ? work_columns : work_columns + bar_columns);
  take(columns.heard, 11);
  if (left >= 16) columns.collective = std::min<std::size_t>(left, 50);
  left -= columns.collective;
  take(columns.host, std::min<std::size_t>(host, 24) + 2);
  return columns;
}

// With a bar where the column has room for one.
void add_work(Line& line, const RankShown& rank, bool slow, std::size_t columns) {
  const double all = whole(rank.seconds), own = own_work(rank.seconds);
  if (all <= 0) {
    line.add("-", Style::dim);
    return;
  }
  const Style style = slow ? Style::bad : Style::accent;
  if (columns > work_columns) line.add(bar_of(own / all, bar_columns - 1), style).add(" ");
  const std::string time = all < 1 ? str(digits("%.3g", 1000 * all), " ms") : str(digits("%.3g", all), " s");
  line.add(str(std::lround(100 * own / all), "% of ", time), slow ? style : Style::plain);
}

}  // namespace

std::vector<Line> rank_lines(const std::vector<RankShown>& ranks, const Room& room) {
  std::vector<Pace::Seconds> steps;
  for (const RankShown& rank : ranks) steps.push_back(rank.seconds);
  const bool all_have_steps = std::ranges::none_of(steps, &Pace::Seconds::empty);
  std::vector<Judged> shown;
  for (std::size_t r = 0; r < ranks.size(); ++r)
    shown.push_back(
        {.rank = &ranks[r], .number = r, .slow = all_have_steps && holds_up(r, steps), .lost = silent(ranks[r].heard)});
  const std::size_t places = room.rows > 1 ? room.rows - 1 : 0;
  std::size_t hidden = 0;
  if (shown.size() > places) {
    std::ranges::stable_sort(shown, std::greater{}, [](const Judged& each) { return each.lost || each.slow; });
    const std::size_t kept = places > 0 ? places - 1 : 0;
    hidden = shown.size() - kept;
    shown.resize(kept);
  }
  const Columns columns = columns_for(ranks, room.columns);
  std::vector<Line> lines;
  // Cells of a line, each at its column.
  const auto row = [&](const auto& add) {
    Line& line = lines.emplace_back();
    std::size_t at = 0;
    add(line, at);
  };
  const auto cell = [](Line& line, std::size_t& at, std::size_t width, const std::string& text, Style style) {
    if (width == 0) return;
    Line one;
    one.add(text, style).cut_to(width - 1);
    line.pad_to(at).add(one.text(), style);
    at += width;
  };
  row([&](Line& line, std::size_t& at) {
    cell(line, at, 6, "rank", Style::dim);
    cell(line, at, columns.host, "host", Style::dim);
    cell(line, at, 8, "step", Style::dim);
    cell(line, at, columns.phase, "phase", Style::dim);
    cell(line, at, columns.work, "own work", Style::dim);
    cell(line, at, columns.heard, "heard of", Style::dim);
    cell(line, at, columns.collective, "collective", Style::dim);
  });
  for (const Judged& each : shown) {
    const RankShown& rank = *each.rank;
    const Style style = each.lost || each.slow ? Style::bad : Style::plain;
    row([&](Line& line, std::size_t& at) {
      cell(line, at, 6, str(each.number, each.slow ? "!" : ""), style);
      cell(line, at, columns.host, rank.host, style);
      cell(line, at, 8, rank.step, style);
      cell(line, at, columns.phase, rank.phase, style);
      if (columns.work != 0) {
        line.pad_to(at);
        add_work(line, rank, each.slow, columns.work);
        at += columns.work;
      }
      cell(line, at, columns.heard, rank.heard, each.lost ? Style::bad : Style::plain);
      cell(line, at, columns.collective, rank.collective, Style::plain);
    });
  }
  if (hidden != 0 && places > 0) lines.emplace_back().add(str("and ", hidden, " more"), Style::dim);
  return lines;
}

}  // namespace tranche
