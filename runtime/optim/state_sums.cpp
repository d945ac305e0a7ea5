#include "runtime/optim/state_sums.h"

#include <algorithm>

#include "runtime/base/corrupted.h"
#include "runtime/device/cpu/cpu_device.h"

namespace tranche {
namespace {

// A shape has no bytes that could change.
bool has_bytes(const Tensor& tensor) { return tensor.device().type() != DeviceType::shape; }

// sums[i] becomes that of elements runs[i], counted from `first`; on the threads of the tensor's device.
template <class Runs> std::vector<std::uint64_t> sums_of(const Tensor& elements, const Runs& runs, std::size_t first) {
  std::vector<std::uint64_t> sums(runs.size());
  check(elements.device().type() == DeviceType::cpu, elements.name(), ": checksums are taken in memory of the host");
  const std::span<const std::byte> bytes = elements.byte_span();
  const std::size_t width = bytes_of(elements.dtype());
  pool_of(elements.device()).run(runs.size(), [&](std::size_t i) {
    sums[i] = checksum64(bytes.subspan((runs[i].first - first) * width, runs[i].count * width));
  });
  return sums;
}

std::uint64_t together(std::span<const std::uint64_t> sums) { return checksum64(std::as_bytes(sums)); }

}  // namespace

std::string names_of(const Unit& unit, std::size_t first, std::size_t count) {
  std::string names;
  for (const Parameter* each : unit.parameters())
    if (each->offset < first + count && first < each->offset + each->shape.size())
      names += (names.empty() ? "" : ", ") + each->name;
  return names.empty() ? unit.name() + "'s padding" : names;
}

void StateSums::record(const StatePiece& at) {
  if (!has_bytes(at.master)) return;
  const std::span<Run> runs = runs_of(at);
  for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
    const Tensor& elements = kind == 0 ? at.master : at.moments[kind - 1];
    const std::vector<std::uint64_t> sums = sums_of(elements, runs, at.first);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      runs[i].sums.resize(kinds_.size());
      runs[i].sums[kind] = sums[i];
    }
  }
  const std::vector<std::uint64_t> rounded =
      at.rounded ? sums_of(at.rounded, runs, at.first) : std::vector<std::uint64_t>{};
  for (std::size_t i = 0; i < runs.size(); ++i) runs[i].working = at.rounded ? rounded[i] : *runs[i].sums[0];
}

void StateSums::compare(const StatePiece& at) const {
  const std::span<const Run> runs = known_runs_of(at);
  for (std::size_t kind = 0; kind < kinds_.size() && !runs.empty(); ++kind)
    compare(kind, at.unit, kind == 0 ? at.master : at.moments[kind - 1], runs);
}

void StateSums::compare(std::size_t kind, std::size_t unit, const Tensor& whole) const {
  if (unit < units_.size() && !units_[unit].empty()) compare(kind, unit, whole, units_[unit]);
}

void StateSums::compare(std::size_t kind, std::size_t unit, const Tensor& elements, std::span<const Run> runs) const {
  const std::vector<std::uint64_t> now = sums_of(elements, runs, runs.front().first);
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
      runs.push_back({.first = at.first + done, .count = std::min(run, count - done)});
  const auto begin = std::ranges::lower_bound(runs, at.first, {}, &Run::first);
  const auto end = std::ranges::lower_bound(begin, runs.end(), at.first + count, {}, &Run::first);
  return {begin, end};
}

std::span<const StateSums::Run> StateSums::known_runs_of(const StatePiece& at) const {
  if (at.unit >= units_.size()) return {};
  const std::vector<Run>& runs = units_[at.unit];
  const auto begin = std::ranges::lower_bound(runs, at.first, {}, &Run::first);
  return {begin, std::ranges::lower_bound(begin, runs.end(), at.first + at.master.size(), {}, &Run::first)};
}

}  // namespace tranche
