#include "launcher/top/run_view.h"

#include <limits>

namespace tranche {
namespace {

double number(const Json& object, const char* key, const std::string& where) {
  const Json value = member<Json>(object, key, where, Exit::data);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (value == "inf") return infinity;
  if (value == "-inf") return -infinity;
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  return member<double>(object, key, where, Exit::data);
}

std::map<std::string, double> numbers(const Json& object, const std::string& where) {
  ensure(Exit::data, object.is_object(), where, ": expected an object, found ", json_excerpt(object));
  std::map<std::string, double> all;
  for (const auto& [name, value] : object.items()) all[name] = json_as<double>(value).value_or(0);
  return all;
}

}  // namespace

void RunView::add_line(std::string_view line, const std::string& where) {
  const Json json = parse_json(line, where, Exit::data);
  StepShown step{.step = member<std::size_t>(json, "step", where, Exit::data),
                 .loss = number(json, "loss", where),
                 .learning_rate = number(json, "learning_rate", where),
                 .gradient_norm = number(json, "gradient_norm", where),
                 .loss_scale = number(json, "loss_scale", where),
                 .tokens_per_second = number(json, "tokens_per_second", where),
                 .saving_seconds = number(json, "saving_seconds", where),
                 .skipped = member<bool>(json, "skipped", where, Exit::data)};
  bytes_of_rank_0 = numbers(member<Json>(json, "peak_bytes", where, Exit::data), where);
  while (!steps.empty() && steps.back().step >= step.step) steps.pop_back();
  steps.push_back(step);
  if (steps.size() > most_steps + most_steps / 8)  // now and then, many at once
    steps.erase(steps.begin(), steps.end() - static_cast<std::ptrdiff_t>(most_steps));
}

void RunView::set_status(std::string_view text, const std::string& where) {
  const Json json = parse_json(text, where, Exit::data);
  run = member<std::string>(json, "run", where, Exit::data);
  state = member<std::string>(json, "state", where, Exit::data);
  well = state == "running";
  restarts = member<std::size_t>(json, "restarts", where, Exit::data);
  steps_in_all = member_or<std::size_t>(json, "steps", 0, where, Exit::data);
  tokens_per_step = member_or<double>(json, "tokens_per_step", 0, where, Exit::data);
  events.clear();
  for (const Json& event : member<Json>(json, "events", where, Exit::data))
    events.push_back(json_as<std::string>(event).value_or("-"));
  const Json said = member<Json>(json, "ranks", where, Exit::data);
  if (said.empty() && !ranks.empty()) return;  // between two starts: what they were doing last stays
  ranks.clear();
  for (const Json& rank : said) {
    const auto cell = [&](const char* key) { return member<std::string>(rank, key, where, Exit::data); };
    ranks.push_back({.host = cell("host"),
                     .step = cell("step"),
                     .phase = cell("phase"),
                     .collective = cell("collective"),
                     .heard = cell("heard of")});
  }
  set_figures(member<Json>(json, "figures", where, Exit::data), where);
}

void RunView::set_figures(const Json& figures, const std::string& where) {
  ensure(Exit::data, figures.is_array(), where, ": expected a list, found ", json_excerpt(figures));
  ranks.resize(figures.size());  // an earlier start may have had more
  for (std::size_t r = 0; r < figures.size(); ++r) {
    ranks[r].seconds = numbers(member<Json>(figures[r], "seconds", where, Exit::data), where);
    ranks[r].bytes.clear();
    const Json tiers = member<Json>(figures[r], "bytes", where, Exit::data);
    ensure(Exit::data, tiers.is_object(), where, ": \"bytes\" must be an object, found ", json_excerpt(tiers));
    for (const auto& [tier, categories] : tiers.items()) ranks[r].bytes[tier] = numbers(categories, where);
  }
}

}  // namespace tranche
