#include "runtime/optim/state_sums.h"

#include <algorithm>

#include "runtime/base/corrupted.h"
#include "runtime/device/cpu/cpu_device.h"

namespace tranche {
namespace {

bool in_host_memory(const Tensor& tensor) { return tensor.device().type() == DeviceType::cpu; }

// sums[i] becomes that of elements runs[i], counted from `first`; on the threads of the tensor's device.
template <class Runs> std::vector<std::uint64_t> sums_of(const Tensor& elements, const Runs& runs, std::size_t first) {
  std::vector<std::uint64_t> sums(runs.size());
  check(elements.device().type() == DeviceType::cpu, elements.name(), ": checksums are taken in memory of the host");
  const std::span<const std::byte> bytes = elements.byte_span();
  const std::size_t width = bytes_of(elements.dtype());
  pool_of(elements.device()).run(runs.size(), [&](std::size_t i) {
    sums[i] = ops::word_sum(bytes.subspan((runs[i].first - first) * width, runs[i].count * width));
  });
  return sums;
}

const Tensor& state_of(const StatePiece& at, std::size_t kind) { return kind == 0 ? at.master : at.moments[kind - 1]; }

std::uint64_t together(std::span<const std::uint64_t> sums) { return checksum64(std::as_bytes(sums)); }

}  // namespace

std::string names_of(const Unit& unit, std::size_t first, std::size_t count) {
  std::string names;
  for (const Parameter* each : unit.parameters())
    if (each->offset < first + count && first < each->offset + each->shape.size())
      names += (names.empty() ? "" : ", ") + each->name;
  return names.empty() ? unit.name() + "'s padding" : names;
}

bool StateSums::concern(const StatePiece& at) { return in_host_memory(at.master); }

ops::PassedSums StateSums::passing(const StatePiece& at, std::size_t summed) {
  check(summed <= kinds_.size() && summed <= ops::PassedSums::most_kinds, "an update sums ", summed, " kinds of the ",
        kinds_.size(), " of its state");
  const std::span<const Run> runs = runs_of(at);
  ops::PassedSums sums{.run = run};
  found_.resize(kinds_.size());
  left_.resize(kinds_.size());
  for (std::size_t kind = 0; kind < summed; ++kind) {
    found_[kind].resize(runs.size());
    left_[kind].resize(runs.size());
    sums.found[kind] = found_[kind].data();
    sums.left[kind] = left_[kind].data();
  }
  for (std::size_t kind = summed; kind < kinds_.size(); ++kind)
    found_[kind] = sums_of(state_of(at, kind), runs, at.first);
  working_.resize(at.rounded ? runs.size() : 0);
  sums.working = working_.data();
  return sums;
}

void StateSums::compare_found(const StatePiece& at) {
  for (std::size_t kind = 0; kind < kinds_.size(); ++kind) compare(kind, at.unit, found_[kind], runs_of(at));
}

void StateSums::keep_left(const StatePiece& at) {
  const std::span<Run> runs = runs_of(at);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (std::size_t kind = 0; kind < kinds_.size(); ++kind) runs[i].sums[kind] = left_[kind][i];
    runs[i].working = working_.empty() ? left_[0][i] : working_[i];
  }
}

void StateSums::read_left(const StatePiece& at) {
  const std::span<const Run> runs = runs_of(at);
  for (std::size_t kind = 0; kind < kinds_.size(); ++kind) left_[kind] = sums_of(state_of(at, kind), runs, at.first);
  if (at.rounded) working_ = sums_of(at.rounded, runs, at.first);
  keep_left(at);
}

void StateSums::compare(std::size_t kind, std::size_t unit, const Tensor& whole) const {
  if (unit < units_.size() && !units_[unit].empty() && in_host_memory(whole))
    compare(kind, unit, sums_of(whole, units_[unit], 0), units_[unit]);
}

void StateSums::compare(std::size_t kind, std::size_t unit, std::span<const std::uint64_t> now,
                        std::span<const Run> runs) const {
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].sums[kind] || *runs[i].sums[kind] == now[i]) continue;
    const Owned& owned = owned_[unit];
    const std::size_t first = owned.first + runs[i].first;
    fail(corrupted,
         str("a bit has flipped: ", kinds_[kind], " of ", names_of(*owned.unit, first, runs[i].count), " (elements ",
             first, " to ", first + runs[i].count, " of ", owned.unit->name(),
             ") are not what their last update left on this rank; go on from the last checkpoint, and if it happens on "
             "this host again, test its memory and disk"));
  }
}

void StateSums::forget(std::size_t kind, std::size_t unit) {
  if (unit >= units_.size()) return;
  for (Run& each : units_[unit]) {
    each.sums[kind].reset();
    each.working.reset();
  }
}

std::optional<std::uint64_t> StateSums::working(std::size_t unit) const {
  if (unit >= units_.size() || units_[unit].empty()) return std::nullopt;
  std::vector<std::uint64_t> sums;
  for (const Run& each : units_[unit]) {
    if (!each.working) return std::nullopt;
    sums.push_back(*each.working);
  }
  return together(sums);
}

std::uint64_t StateSums::working_now(std::size_t unit, const Tensor& part) const {
  return together(sums_of(part, units_[unit], 0));
}

std::span<StateSums::Run> StateSums::runs_of(const StatePiece& at) {
  if (units_.size() <= at.unit) units_.resize(at.unit + 1);
  std::vector<Run>& runs = units_[at.unit];
  const std::size_t count = at.master.size();
  if (runs.empty() || runs.back().first < at.first)
    for (std::size_t done = 0; done < count; done += run)
      runs.push_back({.first = at.first + done,
                      .count = std::min(run, count - done),
                      .sums = std::vector<std::optional<std::uint64_t>>(kinds_.size())});
  const auto begin = std::ranges::lower_bound(runs, at.first, {}, &Run::first);
  const auto end = std::ranges::lower_bound(begin, runs.end(), at.first + count, {}, &Run::first);
  return {begin, end};
}

}  // namespace tranche
