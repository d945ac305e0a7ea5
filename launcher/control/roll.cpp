#include "launcher/control/roll.h"

#include <algorithm>

#include "launcher/progress.h"

namespace tranche {
namespace {

using Seconds = std::chrono::duration<double>;

}  // namespace

std::string ranks_text(const std::vector<std::size_t>& ranks, std::size_t most) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < std::min(ranks.size(), most); ++i) text += str(i == 0 ? "" : ", ", ranks[i]);
  return ranks.size() > most ? str(text, " and ", ranks.size() - most, " more") : text;
}

bool Roll::joins(const Hello& hello, Time now) {
  if (hello.ranks != ranks_.size() || hello.rank >= ranks_.size() || ranks_[hello.rank].joined) return false;
  ranks_[hello.rank] = {.joined = true,
                        .connected = true,
                        .machine = hello.machine,
                        .pid = hello.pid,
                        .activity = {},
                        .heard = now,
                        .moved = now};
  return true;
}

void Roll::says(std::size_t rank, const Activity& activity, Time now) {
  Rank& it = ranks_.at(rank);
  if (!activity.stack.empty()) it.stack = activity.stack;
  if (it.activity != activity) it.moved = now;
  it.activity = activity;
  pace_.says(rank, activity);
  it.heard = now;
}

void Roll::parts(std::size_t rank, Time now) {
  ranks_.at(rank).connected = false;
  if (!ranks_[rank].activity.left && !first_gone_) first_gone_ = Gone{rank, table(now)};
}

void Roll::excuse(Time now) {
  began_ = now;
  for (Rank& rank : ranks_) rank.heard = rank.moved = now;
}

bool Roll::complete() const { return std::ranges::all_of(ranks_, &Rank::joined); }

std::vector<std::size_t> Roll::missing() const {
  std::vector<std::size_t> ranks;
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    if (!ranks_[r].joined) ranks.push_back(r);
  return ranks;
}

bool Roll::met() const {
  return std::ranges::any_of(ranks_, [](const Rank& r) { return r.joined && r.activity.phase != joining; });
}

std::optional<Roll::Verdict> Roll::judge(const Patience& patience, Time now) const {
  // Ranks that were stopped or cut off together were not heard of last at the same moment: whoever is nearly as silent
  // as the first is silent too.
  const auto nearly = std::max(patience.silence / 2, patience.silence - std::chrono::milliseconds{1000});
  bool any_silent = false;
  std::vector<std::size_t> silent_ranks;
  std::size_t watched = 0, stalled = 0;
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const Rank& rank = ranks_[r];
    if (!rank.connected || rank.activity.left) continue;
    ++watched;
    any_silent = any_silent || now - rank.heard >= patience.silence;
    if (now - rank.heard >= nearly) silent_ranks.push_back(r);
    if (now - rank.moved >= patience.stall) ++stalled;
  }
  if (any_silent)
    return Verdict{
        silent,
        str(ranks_text(silent_ranks), silent_ranks.size() == 1 ? " has" : " have", " not been heard of for ",
            duration_text(Seconds{patience.silence}.count()), ": stopped, swapped out, or cut off\n", table(now)),
        silent_ranks};
  if (!met()) {
    const std::vector<std::size_t> absent = missing();
    if (absent.empty() || now - began_ < patience.arrival) return std::nullopt;
    return Verdict{
        silent,
        str(absent.size() == ranks_.size() ? "no rank has"
                                           : ranks_text(absent) + (absent.size() == 1 ? " has not" : " have not"),
            " connected within ", duration_text(Seconds{patience.arrival}.count()),
            " of the start: not started, stuck before MPI connects the ranks, or without a way to this "
            "machine (--arrival)\n",
            table(now)),
        absent};
  }
  if (watched == 0 || stalled < watched) return std::nullopt;
  const std::string apart = difference();
  if (!apart.empty()) return Verdict{disagree, str(apart, "\n", table(now))};
  return Verdict{hang, str("no rank has moved for ", duration_text(Seconds{patience.stall}.count()), laggards(), "\n",
                           table(now))};
}

std::optional<Roll::Verdict> Roll::judge_ended(Time now) const {
  if (const std::string apart = difference(); !apart.empty()) return Verdict{disagree, str(apart, "\n", table(now))};
  if (!first_gone_) return std::nullopt;
  return Verdict{
      gone, str("rank ", first_gone_->rank, " was the first to go\n", first_gone_->table), {first_gone_->rank}};
}

std::optional<Roll::Verdict> Roll::judge_lost_host(Time now) const {
  constexpr std::chrono::seconds a_while{2};  // ten times as long as between two messages
  const auto out_of_reach =
      std::ranges::find_if(ranks_, [&](const Rank& r) { return r.connected && now - r.heard >= a_while; });
  std::string host;
  if (out_of_reach != ranks_.end())
    host = out_of_reach->machine.name;
  else if (first_gone_)
    host = ranks_[first_gone_->rank].machine.name;
  else
    return std::nullopt;
  std::vector<std::size_t> lost;
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    if (ranks_[r].joined && ranks_[r].machine.name == host) lost.push_back(r);
  return Verdict{gone, str("host ", host, " is lost, and ", ranks_text(lost), " with it\n", table(now)), lost};
}

std::vector<Machine> Roll::machines_without(const std::vector<std::size_t>& lost) const {
  std::vector<Machine> without, with;
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    if (ranks_[r].joined && std::ranges::find(lost, r) == lost.end()) with.push_back(ranks_[r].machine);
  if (with.empty()) return {};
  const auto among = [](const std::vector<Machine>& machines, const Machine& one) {
    return std::ranges::find(machines, one.name, &Machine::name) != machines.end();
  };
  for (const std::size_t r : lost) {
    const Rank& rank = ranks_[r];
    if (rank.joined && !among(with, rank.machine) && !among(without, rank.machine)) without.push_back(rank.machine);
  }
  return without;
}

// Ranks that have issued as many collectives, of which the last ones are not the same.
std::string Roll::difference() const {
  for (std::size_t a = 0; a < ranks_.size(); ++a)
    for (std::size_t b = a + 1; b < ranks_.size(); ++b) {
      const Activity &first = ranks_[a].activity, &second = ranks_[b].activity;
      if (first.collectives == second.collectives && first.collective != second.collective)
        return str("ranks ", a, " and ", b, " are in different collectives: number ", first.collectives, " is ",
                   first.collective, " on the one and ", second.collective, " on the other");
    }
  return {};
}

std::string Roll::laggards() const {
  std::uint64_t most = 0;
  std::string collective;
  for (const Rank& rank : ranks_)
    if (rank.activity.collectives > most) {
      most = rank.activity.collectives;
      collective = rank.activity.collective;
    }
  std::vector<std::size_t> behind;
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    if (ranks_[r].joined && ranks_[r].activity.collectives < most) behind.push_back(r);
  if (most == 0) return {};
  if (behind.empty()) return str("; all are in collective number ", most, ", ", collective);
  return str(": others wait in collective number ", most, ", ", collective, ", for ", ranks_text(behind));
}

std::vector<Row> Roll::rows(Time now) const {
  std::vector<Row> lines{{"rank", "host", "process", "step", "phase", "collective", "heard of"}};
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const Rank& rank = ranks_[r];
    if (!rank.joined) {
      lines.push_back({str(r), "-", "-", "-", "-", "-", "never"});
      continue;
    }
    const Activity& is = rank.activity;
    const std::string heard = str(duration_text(Seconds{now - rank.heard}.count()), " ago");
    lines.push_back({str(r), rank.machine.name, str(rank.pid), str(is.step), is.phase,
                     is.collectives == 0 ? "-" : str(is.collectives, ": ", is.collective),
                     is.left          ? "has left"
                     : rank.connected ? heard
                                      : "gone"});
  }
  return lines;
}

std::string Roll::table(Time now) const { return aligned(rows(now), 7); }

}  // namespace tranche
