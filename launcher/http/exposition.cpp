#include "launcher/http/exposition.h"

#include <cstdio>

namespace tranche {
namespace {

// A label's value: backslash, quote and line break escaped.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string{"\\n"} : std::string(1, c);
  }
  return out;
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

class Text {
 public:
  void family(const std::string& name, const std::string& type, const std::string& help) {
    text_ += str("# HELP tranche_", name, " ", help, "\n# TYPE tranche_", name, " ", type, "\n");
    name_ = name;
  }
  void sample(const std::string& value, const std::string& label = {}, const std::string& of = {}) {
    sample(value, label.empty() ? Labels{} : Labels{{label, of}});
  }
  using Labels = std::vector<std::pair<std::string, std::string>>;
  void sample(const std::string& value, const Labels& labels) {
    std::string text;
    for (const auto& [label, of] : labels) text += str(text.empty() ? "{" : ",", label, "=\"", escaped(of), "\"");
    text_ += str("tranche_", name_, text, text.empty() ? "" : "}", " ", value, "\n");
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_, name_;
};

// metrics.jsonl writes what is not finite as a string.
std::optional<std::string> value_of(const Json& line, const std::string& key) {
  const auto found = line.find(key);
  if (found == line.end()) return std::nullopt;
  if (found->is_number()) return number(found->get<double>());
  if (*found == "inf") return "+Inf";
  if (*found == "-inf") return "-Inf";
  return "NaN";
}

Json parsed(const std::string& line) {
  try {
    Json json = parse_json(line, "metrics.jsonl", Exit::data);
    if (json.is_object()) return json;
  } catch (const Error&) {  // no line yet
  }
  return Json::object();
}

void of_last_step(Text& text, const Json& line) {
  struct Gauge {
    const char *name, *key, *help;
  };
  for (const Gauge& gauge :
       {Gauge{"step", "step", "Steps that are done."}, Gauge{"loss", "loss", "Mean loss of the last step."},
        Gauge{"learning_rate", "learning_rate", "Rate of the last step."},
        Gauge{"gradient_norm", "gradient_norm", "Norm of the last step's gradient, before clipping."},
        Gauge{"loss_scale", "loss_scale", "Loss scale of the last step."},
        Gauge{"tokens_per_second", "tokens_per_second", "Tokens that the last step trained on, by its time."}})
    if (const auto value = value_of(line, gauge.key)) {
      text.family(gauge.name, "gauge", gauge.help);
      text.sample(*value);
    }
  for (const Gauge& gauge : {Gauge{"peak_bytes", "peak_bytes", "Most bytes that rank 0 held, by category."},
                             Gauge{"communicated_bytes", "communicated_bytes",
                                   "Bytes that rank 0 sent to other ranks in the last step, by operation."}}) {
    const auto found = line.find(gauge.key);
    if (found == line.end() || !found->is_object() || found->empty()) continue;
    text.family(gauge.name, "gauge", gauge.help);
    for (const auto& [name, value] : found->items())
      if (value.is_number()) text.sample(number(value.get<double>()), "of", name);
  }
}

}  // namespace

Json figures_of_ranks(const Roll& roll) {
  Json all = Json::array();
  for (std::size_t r = 0; r < roll.ranks().size(); ++r)
    all.push_back({{"seconds", roll.pace().of_step(r)}, {"bytes", roll.ranks()[r].activity.bytes}});
  return all;
}

std::string status_text(const RunStatus& status, Roll::Time now) {
  Json ranks = Json::array();
  if (status.roll != nullptr) {
    const std::vector<Row> rows = status.roll->rows(now);
    for (std::size_t r = 1; r < rows.size(); ++r) {
      Json rank = Json::object();
      for (std::size_t c = 0; c < rows[r].size(); ++c) rank[rows[0][c]] = rows[r][c];
      ranks.push_back(std::move(rank));
    }
  }
  const Json all{{"run", status.run},
                 {"state", status.state},
                 {"restarts", status.restarts},
                 {"steps", status.steps},
                 {"tokens_per_step", status.tokens_per_step},
                 {"ranks", std::move(ranks)},
                 {"figures", status.roll != nullptr ? figures_of_ranks(*status.roll) : Json::array()},
                 {"events", status.events}};
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);  // a name may be cut within a character
}

std::string exposition(const RunStatus& status, const std::string& metrics_line, Roll::Time now) {
  Text text;
  text.family("ranks", "gauge", "Ranks of the newest start.");
  text.sample(str(status.ranks));
  text.family("restarts_total", "counter", "Starts after the first, by this supervisor.");
  text.sample(str(status.restarts));
  text.family("dropped_connections_total", "counter", "Connections of the newest start that were no rank's.");
  text.sample(str(status.dropped));
  text.family("refused_requests_total", "counter", "Requests to this page that lacked its token.");
  text.sample(str(status.refused));
  if (status.roll != nullptr) {
    const std::vector<Roll::Rank>& ranks = status.roll->ranks();
    text.family("rank_up", "gauge", "Whether the rank is connected.");
    for (std::size_t r = 0; r < ranks.size(); ++r) text.sample(ranks[r].connected ? "1" : "0", "rank", str(r));
    text.family("rank_collectives_total", "counter", "Collectives that the rank has issued since it was started.");
    for (std::size_t r = 0; r < ranks.size(); ++r) text.sample(str(ranks[r].activity.collectives), "rank", str(r));
    text.family("rank_silence_seconds", "gauge", "Time since the rank was heard of.");
    for (std::size_t r = 0; r < ranks.size(); ++r)
      if (ranks[r].connected)
        text.sample(number(std::chrono::duration<double>(now - ranks[r].heard).count()), "rank", str(r));
    text.family("rank_steps_total", "counter", "Steps that the rank has done since it was started.");
    for (std::size_t r = 0; r < ranks.size(); ++r) text.sample(str(ranks[r].activity.steps), "rank", str(r));
    text.family("rank_seconds_total", "counter", "Time of these steps, by what the training thread did.");
    for (std::size_t r = 0; r < ranks.size(); ++r)
      for (const auto& [kind, seconds] : ranks[r].activity.seconds)
        text.sample(number(seconds), {{"rank", str(r)}, {"kind", kind}});
    text.family("rank_peak_bytes", "gauge", "Most bytes that the rank has held, by tier and category.");
    for (std::size_t r = 0; r < ranks.size(); ++r)
      for (const auto& [tier, categories] : ranks[r].activity.bytes)
        for (const auto& [category, bytes] : categories)
          text.sample(str(bytes), {{"rank", str(r)}, {"tier", tier}, {"of", category}});
  }
  of_last_step(text, parsed(metrics_line));
  return text.take();
}

}  // namespace tranche
