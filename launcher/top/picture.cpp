#include "launcher/top/picture.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "launcher/progress.h"
#include "launcher/top/chart.h"
#include "launcher/top/rank_lines.h"
#include "runtime/device/ledger.h"

namespace tranche {
namespace {

using Lines = std::vector<Line>;

constexpr std::size_t fewest_chart_rows = 3, most_chart_rows = 12, most_event_rows = 6;
constexpr std::size_t label = 15;   // columns of a figure's name
constexpr std::size_t lately = 20;  // steps over which speed is taken

std::string short_number(double value) { return std::isfinite(value) ? digits("%.4g", value) : digits("%f", value); }

std::vector<double> all_of(const RunView& run, double StepShown::*figure) {
  std::vector<double> values;
  values.reserve(run.steps.size());
  for (const StepShown& step : run.steps) values.push_back(step.*figure);
  return values;
}

double tokens_per_second(const RunView& run) {
  std::vector<double> speeds;
  for (std::size_t i = run.steps.size() - std::min(run.steps.size(), lately); i < run.steps.size(); ++i)
    speeds.push_back(run.steps[i].tokens_per_second);
  const auto middle = speeds.begin() + static_cast<std::ptrdiff_t>(speeds.size() / 2);
  std::ranges::nth_element(speeds, middle);
  return *middle;
}

Lines heading(const RunView& run, const Room& room) {
  Lines lines(1);
  lines[0].add(run.run, Style::bold).add("   ").add(run.state, run.well ? Style::good : Style::bad);
  if (!run.ranks.empty()) lines[0].add(str("   ", run.ranks.size(), run.ranks.size() == 1 ? " rank" : " ranks"));
  if (run.restarts != 0)
    lines[0].add(str("   ", run.restarts, run.restarts == 1 ? " restart" : " restarts"), Style::bad);
  if (run.steps.empty()) {
    lines.emplace_back().add("no step is done yet", Style::dim);
    return lines;
  }
  const std::uint64_t done = run.steps.back().step;
  if (run.steps_in_all == 0) {
    lines.emplace_back().add(str("step ", done));
    return lines;
  }
  const double share = static_cast<double>(done) / static_cast<double>(run.steps_in_all);
  std::string behind = str("  ", std::lround(100 * std::min(share, 1.0)), "%");
  const double speed = tokens_per_second(run);
  if (done < run.steps_in_all && run.tokens_per_step > 0 && speed > 0)
    behind +=
        str("   ", duration_text(static_cast<double>(run.steps_in_all - done) * run.tokens_per_step / speed), " left");
  const std::string before = str("step ", done, "/", run.steps_in_all, "  ");
  const std::size_t taken = before.size() + behind.size();
  Line& line = lines.emplace_back().add(before);
  if (room.columns > taken + 4)
    line.add("▕", Style::dim)
        .add(bar_of(share, std::min<std::size_t>(60, room.columns - taken - 2)), Style::accent)
        .add("▏", Style::dim);
  line.add(behind);
  return lines;
}

// rows: of the chart alone.
Lines loss_chart(const RunView& run, std::size_t columns, std::size_t rows) {
  const std::vector<double> losses = all_of(run, &StepShown::loss);
  const auto lowest = std::ranges::min_element(run.steps, {}, [](const StepShown& s) {
    return std::isfinite(s.loss) ? s.loss : std::numeric_limits<double>::max();
  });
  Lines lines(1);
  lines[0].add("loss ").add(short_number(losses.back()), std::isfinite(losses.back()) ? Style::bold : Style::bad);
  if (std::isfinite(lowest->loss))
    lines[0].add(str("   lowest ", short_number(lowest->loss), " at step ", lowest->step), Style::dim);
  constexpr std::size_t axis = 10;
  const Chart chart = chart_of(losses, columns > axis ? columns - axis : 1, rows);
  for (std::size_t row = 0; row < rows; ++row) {
    const bool top = row == 0, bottom = row + 1 == rows;
    const std::string mark = std::isnan(chart.low) ? ""
                             : top                 ? short_number(chart.high)
                             : bottom              ? short_number(chart.low)
                                                   : "";
    lines.emplace_back()
        .pad_to(axis - 1 - std::min(axis - 1, mark.size()))
        .add(mark, Style::dim)
        .pad_to(axis)
        .add(chart.rows[row], Style::accent);
  }
  lines.emplace_back().pad_to(axis).add(str("steps ", run.steps.front().step, " to ", run.steps.back().step),
                                        Style::dim);
  return lines;
}

Line figure(const std::string& name, const std::string& value) {
  Line line;
  line.add(name, Style::dim).pad_to(label).add(value);
  return line;
}

// With how it went, where there is room.
Line figure(const std::string& name, const std::string& value, const std::vector<double>& values, std::size_t columns) {
  constexpr std::size_t begin = label + 12;
  Line line = figure(name, value);
  if (columns > begin + 10)
    line.pad_to(begin).add(chart_of(values, std::min<std::size_t>(40, columns - begin), 1).rows[0], Style::accent);
  return line;
}

Lines figures(const RunView& run, std::size_t columns) {
  const StepShown& last = run.steps.back();
  Lines lines{
      figure("tokens/s", count_text(last.tokens_per_second), all_of(run, &StepShown::tokens_per_second), columns),
      figure("learning rate", short_number(last.learning_rate), all_of(run, &StepShown::learning_rate), columns),
      figure("gradient norm", short_number(last.gradient_norm), all_of(run, &StepShown::gradient_norm), columns)};
  const auto skipped = std::ranges::count_if(run.steps, &StepShown::skipped);
  Line& scale = lines.emplace_back(figure("loss scale", digits("%.10g", last.loss_scale)));
  if (skipped != 0)
    scale.add("   ").add(str(skipped, skipped == 1 ? " step" : " steps", " skipped"),
                         last.skipped ? Style::bad : Style::plain);
  return lines;
}

Line memory_line(const std::string& name, const BytesByName& bytes) {
  std::vector<std::pair<double, std::string>> largest;
  double sum = 0;
  for (const auto& [category, count] : bytes) {
    if (count > 0) largest.emplace_back(count, category);
    sum += count;
  }
  std::ranges::sort(largest, std::greater{});
  Line line = figure(name, in_units(static_cast<std::size_t>(sum)));
  for (std::size_t i = 0; i < largest.size(); ++i)
    line.add(str(i == 0 ? "   " : ", ", largest[i].second, " ", in_units(static_cast<std::size_t>(largest[i].first))),
             Style::dim);
  return line;
}

// Of each tier, as the rank has it that holds most there; before ranks have said, what metrics.jsonl says of rank 0.
Lines memory(const RunView& run) {
  std::map<std::string, const BytesByName*> most;
  const auto sum = [](const BytesByName& bytes) {
    return std::accumulate(bytes.begin(), bytes.end(), 0.0, [](double s, const auto& each) { return s + each.second; });
  };
  for (const RankShown& rank : run.ranks)
    for (const auto& [tier, bytes] : rank.bytes)
      if (const BytesByName*& so_far = most[tier]; so_far == nullptr || sum(bytes) > sum(*so_far)) so_far = &bytes;
  Lines lines;
  for (const auto& [tier, bytes] : most) lines.push_back(memory_line(str(tier, " memory"), *bytes));
  if (lines.empty() && !run.bytes_of_rank_0.empty())
    lines.push_back(memory_line("memory, rank 0", run.bytes_of_rank_0));
  return lines;
}

// What the supervisor saw, then what steps say: the newest first.
Lines happenings(const RunView& run) {
  Lines lines;
  for (auto event = run.events.rbegin(); event != run.events.rend() && lines.size() + 2 < most_event_rows; ++event)
    lines.emplace_back().add(*event, Style::bold);
  for (auto step = run.steps.rbegin(); step != run.steps.rend() && lines.size() < most_event_rows; ++step) {
    if (step->skipped)
      lines.emplace_back().add(
          str("step ", step->step, ": skipped, the gradient overflowed at scale ", digits("%.10g", step->loss_scale)));
    if (step->saving_seconds > 0 && lines.size() < most_event_rows)
      lines.emplace_back().add(
          str("step ", step->step - 1, ": saved; training waited ", digits("%.3g", step->saving_seconds), " s"));
  }
  return lines;
}

void append(Lines& lines, Lines more) {
  if (more.empty()) return;
  lines.emplace_back();
  std::ranges::move(more, std::back_inserter(lines));
}

}  // namespace

std::vector<Line> picture_of(const RunView& run, const Room& room) {
  Lines lines = heading(run, room);
  Lines numbers, events = happenings(run);
  if (!run.steps.empty()) {
    numbers = figures(run, room.columns);
    std::ranges::move(memory(run), std::back_inserter(numbers));
  }
  // Rows that are left for chart, ranks and events, each behind an empty one.
  const std::size_t taken = lines.size() + numbers.size() + 1;
  std::size_t left = room.rows > taken ? room.rows - taken : 0;
  const auto give = [&left](std::size_t rows) {
    const std::size_t given = std::min(rows, left);
    left -= given;
    return given;
  };
  const std::size_t chart_least = run.steps.empty() ? 0 : give(fewest_chart_rows + 3);
  const std::size_t for_ranks = run.ranks.empty() ? 0 : give(run.ranks.size() + 2);
  const std::size_t for_events = events.empty() ? 0 : give(events.size() + 1);
  if (chart_least == fewest_chart_rows + 3)
    append(lines, loss_chart(run, room.columns, fewest_chart_rows + give(most_chart_rows - fewest_chart_rows)));
  append(lines, std::move(numbers));
  if (for_ranks > 2) append(lines, rank_lines(run.ranks, {.columns = room.columns, .rows = for_ranks - 1}));
  if (for_events > 1) {
    events.resize(for_events - 1);
    append(lines, std::move(events));
  }
  if (lines.size() > room.rows) lines.resize(room.rows);
  for (Line& line : lines) line.cut_to(room.columns);
  return lines;
}

}  // namespace tranche
