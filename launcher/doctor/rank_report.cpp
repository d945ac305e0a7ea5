#include "launcher/doctor/rank_report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "runtime/base/error.h"
#include "runtime/base/json.h"
#include "runtime/device/ledger.h"

namespace tranche::doctor {
namespace {

constexpr std::string_view mark = "tranche doctor's ranks: ";
constexpr const char* source = "what ranks told the doctor";

template <class T> T get(const Json& object, const char* key) { return member<T>(object, key, source, Exit::ranks); }

std::string compact(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json json_of(const RankReport& rank) {
  return {{"host", rank.host},          {"hardware", rank.cores.hardware},
          {"cores", rank.cores.usable}, {"quota", rank.cores.quota ? Json(*rank.cores.quota) : Json{}},
          {"threads", rank.threads},    {"rate", rank.rate}};
}

RankReport rank_of(const Json& json) {
  RankReport rank{.host = get<std::string>(json, "host"),
                  .cores = {.hardware = get<std::size_t>(json, "hardware")},
                  .threads = get<std::size_t>(json, "threads"),
                  .rate = get<double>(json, "rate")};
  for (const Json& core : get<Json>(json, "cores")) rank.cores.usable.push_back(core.get<std::size_t>());
  rank.cores.quota = json_as<double>(json.value("quota", Json{}));
  return rank;
}

// The ranks of one host: what they may use together, and what they would.
struct Together {
  std::size_t ranks = 0, threads = 0;
  std::set<std::size_t> cores;
  std::optional<double> quota;

  double time() const {
    const auto all = static_cast<double>(cores.size());
    return quota ? std::min(all, *quota) : all;
  }
};

std::map<std::string, Together> by_host(const RanksReport& report) {
  std::map<std::string, Together> hosts;
  for (const RankReport& rank : report.ranks) {
    Together& host = hosts[rank.host];
    ++host.ranks;
    host.threads += rank.threads;
    host.cores.insert(rank.cores.usable.begin(), rank.cores.usable.end());
    if (rank.cores.quota) host.quota = std::min(*rank.cores.quota, host.quota.value_or(*rank.cores.quota));
  }
  return hosts;
}

}  // namespace

std::string text_of(const RankReport& rank) { return compact(json_of(rank)); }

RankReport read_rank(const std::string& text) { return rank_of(parse_json(text, source, Exit::ranks)); }

std::string line_of(const RanksReport& report) {
  Json json{{"library", report.mpi},           {"thread_level", report.thread_level}, {"row", report.row},
            {"all_gather", report.all_gather}, {"latency", report.latency},           {"ranks", Json::array()}};
  for (const RankReport& rank : report.ranks) json["ranks"].push_back(json_of(rank));
  return str(mark, compact(json));
}

std::optional<RanksReport> find_report(const std::string& output) {
  std::istringstream lines{output};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(mark)) continue;
    const Json json = parse_json(std::string_view{line}.substr(mark.size()), source, Exit::ranks);
    RanksReport report{.mpi = get<std::string>(json, "library"),
                       .thread_level = get<std::string>(json, "thread_level"),
                       .ranks = {},
                       .row = get<std::size_t>(json, "row"),
                       .all_gather = get<double>(json, "all_gather"),
                       .latency = get<double>(json, "latency")};
    for (const Json& rank : get<Json>(json, "ranks")) report.ranks.push_back(rank_of(rank));
    return report;
  }
  return {};
}

std::string hosts_text(const RanksReport& report) {
  std::string text;
  for (const auto& [name, host] : by_host(report)) text += str(text.empty() ? "" : ", ", name, " (", host.ranks, ")");
  return text;
}

Finding judge_mpi(const RanksReport& report) {
  constexpr const char* needed = "MPI_THREAD_MULTIPLE";
  ensure(Exit::ranks, report.thread_level == needed, report.mpi, " provides ", report.thread_level, ", and ranks need ",
         needed);
  return {str(report.mpi, "; provides ", needed, ", which ranks ask for")};
}

Finding judge_threads(const RanksReport& report) {
  Finding finding;
  for (const auto& [name, host] : by_host(report)) {
    finding.text += str(finding.text.empty() ? "" : "; ", name, ": ", host.ranks, " ranks of ", host.threads,
                        " threads together, where ", host.time(), " may be used");
    if (static_cast<double>(host.threads) <= host.time()) continue;
    const auto fitting = std::max<std::size_t>(1, static_cast<std::size_t>(host.time()));
    const std::string remedy = host.threads == host.ranks || fitting < host.ranks
                                   ? str("start no more ranks there than ", fitting)
                                   : str("export OMP_NUM_THREADS=", fitting / host.ranks);
    advise(finding, str("threads of ", name, " take turns: ", remedy, ", or ask for more (Slurm: --cpus-per-task)"));
  }
  return finding;
}

Finding judge_links(const RanksReport& report) {
  constexpr double slow = 250e6;  // what a cable of 1 Gbit/s gives is half of it
  const auto by_rate = [](const RankReport& a, const RankReport& b) { return a.rate < b.rate; };
  const auto [slowest, quickest] = std::ranges::minmax_element(report.ranks, by_rate);
  const auto number = slowest - report.ranks.begin();
  Finding finding{str(rate_text(report.all_gather), " into a rank (all_gather of ", in_units(report.row), " of each), ",
                      std::lround(report.latency * 1e6), " us for a number; slowest is rank ", number, " on ",
                      slowest->host, ", ", rate_text(slowest->rate), " (broadcasts)")};
  if (slowest->rate < slow)
    advise(finding, str("a step waits for parameters and gradients at that rate: let MPI use a quicker network "
                        "(OMPI_MCA_btl_tcp_if_include=INTERFACE), or choose a lower ZeRO stage"));
  if (slowest->rate * 2 < quickest->rate)
    advise(finding,
           str("rank ", quickest - report.ranks.begin(), " has ", rate_text(quickest->rate), ", and all wait for rank ",
               number, ": look at the network of ", slowest->host, " and at what else runs there"));
  return finding;
}

}  // namespace tranche::doctor
