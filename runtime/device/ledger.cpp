#include "runtime/device/ledger.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

#include "runtime/base/error.h"

namespace tranche {
namespace {

constexpr std::string_view names[category_count] = {"parameters",  "gradients",     "optimizer",
                                                    "activations", "communication", "workspace"};
constexpr std::size_t index_of(Category category) { return static_cast<std::size_t>(category); }

std::string row(std::string_view name, std::size_t live, std::size_t peak) {
  char line[128];
  std::snprintf(line, sizeof line, "\n  %-14.*s %12s live %12s peak", static_cast<int>(name.size()), name.data(),
                in_units(live).c_str(), in_units(peak).c_str());
  return line;
}

}  // namespace

std::string_view name_of(Category category) { return names[index_of(category)]; }

Ledger::Line Ledger::add(Category category, std::size_t bytes, std::string_view owner) {
  const std::lock_guard lock{mutex_};
  const auto raise = [](std::size_t& peak, std::size_t now) { peak = std::max(peak, now); };
  std::size_t& live = live_[index_of(category)];
  live += bytes;
  total_ += bytes;
  raise(peak_[index_of(category)], live);
  if (moment_ && total_ > total_peak_) moment_of_peak_ = moment_();
  raise(total_peak_, total_);
  raise(state_peak_, live_[0] + live_[1] + live_[2]);
  entries_.push_front({category, bytes, std::string{owner}});
  return entries_.begin();
}

void Ledger::remove(Line line) {
  const std::lock_guard lock{mutex_};
  live_[index_of(line->category)] -= line->bytes;
  total_ -= line->bytes;
  entries_.erase(line);
}

std::size_t Ledger::live(Category category) const {
  const std::lock_guard lock{mutex_};
  return live_[index_of(category)];
}
std::size_t Ledger::peak(Category category) const {
  const std::lock_guard lock{mutex_};
  return peak_[index_of(category)];
}
std::size_t Ledger::live() const {
  const std::lock_guard lock{mutex_};
  return total_;
}
std::size_t Ledger::peak() const {
  const std::lock_guard lock{mutex_};
  return total_peak_;
}
std::size_t Ledger::peak_of_training_state() const {
  const std::lock_guard lock{mutex_};
  return state_peak_;
}

void Ledger::reset_peaks() {
  const std::lock_guard lock{mutex_};
  peak_ = live_;
  total_peak_ = total_;
  state_peak_ = live_[0] + live_[1] + live_[2];
}

void Ledger::note_moments(std::function<std::string()> moment) {
  const std::lock_guard lock{mutex_};
  moment_ = std::move(moment);
}
std::string Ledger::moment_of_peak() const {
  const std::lock_guard lock{mutex_};
  return moment_of_peak_;
}

std::string Ledger::report(std::size_t owners) const {
  const std::lock_guard lock{mutex_};
  std::string text = "memory ledger:";
  for (std::size_t c = 0; c < category_count; ++c)
    if (peak_[c] != 0) text += row(names[c], live_[c], peak_[c]);
  text += row("total", total_, total_peak_);

  std::map<std::string, std::size_t> by_owner;
  for (const Entry& entry : entries_) by_owner[str(names[index_of(entry.category)], ": ", entry.owner)] += entry.bytes;
  std::vector<std::pair<std::string, std::size_t>> largest{by_owner.begin(), by_owner.end()};
  std::stable_sort(largest.begin(), largest.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  if (!largest.empty()) text += "\n  largest owners:";
  for (std::size_t o = 0; o < std::min(owners, largest.size()); ++o)
    text += str("\n    ", in_units(largest[o].second), "  ", largest[o].first);
  return text;
}

std::string in_units(std::size_t bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (amount >= 1024 && unit + 1 < std::size(units)) {
    amount /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.2f %s", amount, units[unit]);
  return text;
}

}  // namespace tranche
