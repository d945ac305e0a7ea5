#include "offload/disk_placement.h"

#include <algorithm>

#include "offload/arrivals.h"
#include "offload/pieces.h"
#include "runtime/base/trace.h"

namespace tranche {

DiskPlacement::DiskPlacement(const OffloadConfig& config, Precision precision, DType gradients, Device& device,
                             Device& host, Disk& disk)
    : config_(config),
      precision_(precision),
      host_(host),
      disk_(disk),
      slots_(config.buffer_count),
      sums_(device, host, gradients, [](const Unit&) { return true; }),
      copies_(device.copy_stream()) {}

// After a failure transfers may be under way, which use the slots.
DiskPlacement::~DiskPlacement() {
  for (const Slot& slot : slots_)
    for (const auto* events : {&slot.reads, &slot.departures})
      for (const Event& event : *events) wait_quietly(event);
}

void DiskPlacement::adopt(const std::vector<Owned>& owned, std::uint64_t seed) {
  owned_ = &owned;
  for (std::size_t u = 0; u < owned.size(); ++u) {
    unit_places_.push_back(elements_);
    const std::size_t size = owned[u].size, longest = piece_elements(config_.sub_group, size);
    for (std::size_t first = 0; first < size; first += longest) {
      pieces_.push_back({u, first, std::min(longest, size - first), elements_ + first});
      longest_ = std::max(longest_, pieces_.back().count);
    }
    elements_ += size;
  }
  kind_begins_.push_back(disk_.extend(4 * elements_, Category::optimizer, "masters"));
  for (Slot& slot : slots_) {
    slot.kinds.push_back(buffer("masters from disk", DType::float32));
    if (precision_.keeps_master()) slot.rounded = buffer("rounded masters", precision_.working);
  }
  Arrivals nobody_waits{owned, [](Unit&) {}};
  stream(
      {.reads = 0, .writes = 1}, {},
      [&](const StatePiece& at) {
        const Owned& unit = owned[at.unit];
        unit.unit->initialise(seed, unit.first + at.first, at.master);
        tranche::round(at);
      },
      nobody_waits);
}

void DiskPlacement::add_moment(const std::string& name) {
  kinds_.push_back(name);
  kind_begins_.push_back(disk_.extend(4 * elements_, Category::optimizer, name));  // of zeros
  for (Slot& slot : slots_) slot.kinds.push_back(buffer(name + " from disk", DType::float32));
}

void DiskPlacement::do_update(const Shards& gradients, const Work& work) {
  Arrivals arrivals{*owned_, updated_};
  stream({.reads = kinds_.size(), .writes = kinds_.size()}, gradients, work, arrivals);
}

void DiskPlacement::round() {
  Arrivals nobody_waits{*owned_, [](Unit&) {}};
  stream(
      {.reads = 1, .writes = 0}, {}, [](const StatePiece& at) { tranche::round(at); }, nobody_waits);
}

Tensor DiskPlacement::do_borrow(std::size_t kind, std::size_t unit) {
  const Shape shape{1, (*owned_)[unit].size};
  const Tensor whole = Tensor::empty(host_, (*owned_)[unit].unit->name() + " " + kinds_[kind] + " from disk",
                                     Category::communication, shape, DType::float32);
  wait_for(disk_.read(offset_of(kind, unit_places_[unit]), whole.byte_span()));
  return whole;
}

void DiskPlacement::do_give_back(std::size_t kind, std::size_t unit, std::span<const float> borrowed) {
  wait_for(disk_.write(offset_of(kind, unit_places_[unit]), std::as_bytes(borrowed)));
}

// Half of the slots are read ahead; the other half's writes have that long to finish.
void DiskPlacement::stream(const Pass& pass, const Shards& gradients, const Work& work, Arrivals& arrivals) {
  const std::size_t ahead = slots_.size() / 2;
  const auto slot_of = [&](std::size_t number) -> Slot& { return slots_[number % slots_.size()]; };
  for (std::size_t i = 0; i < pieces_.size() + ahead; ++i) {
    if (i < pieces_.size()) read_ahead(pass, pieces_[i], slot_of(i));
    if (i < ahead) continue;
    const Piece& piece = pieces_[i - ahead];
    Slot& slot = slot_of(i - ahead);
    {
      const trace::Span span{trace::Kind::wait, "wait for the disk"};
      for (const Event& read : slot.reads) wait_for(read);
    }
    work(at_hand(piece, slot, gradients));
    arrivals.add(piece.unit, depart(pass, piece, slot));
  }
  arrivals.finish();
  for (Slot& slot : slots_)
    for (const Event& departure : slot.departures) wait_for(departure);
}

void DiskPlacement::read_ahead(const Pass& pass, const Piece& piece, Slot& slot) {
  for (const Event& departure : slot.departures) wait_for(departure);
  slot.departures.clear();
  slot.reads.clear();
  for (std::size_t kind = 0; kind < pass.reads; ++kind)
    slot.reads.push_back(disk_.read(offset_of(kind, piece.place), slot.kinds[kind].byte_span().first(4 * piece.count)));
}

Event DiskPlacement::depart(const Pass& pass, const Piece& piece, Slot& slot) {
  const Shape part{1, piece.count};
  const Tensor& source = precision_.keeps_master() ? slot.rounded : slot.kinds[0];
  const Event arrival = (*owned_)[piece.unit].receive(piece.first, source.view(0, part), *copies_);
  slot.departures.push_back(arrival);
  for (std::size_t kind = 0; kind < pass.writes; ++kind)
    slot.departures.push_back(
        disk_.write(offset_of(kind, piece.place), slot.kinds[kind].byte_span().first(4 * piece.count)));
  return arrival;
}

StatePiece DiskPlacement::at_hand(const Piece& piece, const Slot& slot, const Shards& gradients) const {
  const Shape part{1, piece.count};
  StatePiece at{.name = (*owned_)[piece.unit].unit->name(),
                .unit = piece.unit,
                .first = piece.first,
                .master = slot.kinds[0].view(0, part)};
  for (std::size_t kind = 1; kind < slot.kinds.size(); ++kind) at.moments.push_back(slot.kinds[kind].view(0, part));
  if (!gradients.empty()) at.gradient = gradients[piece.unit].view(piece.first, part);
  if (precision_.keeps_master()) at.rounded = slot.rounded.view(0, part);
  return at;
}

Tensor DiskPlacement::buffer(const std::string& name, DType dtype) const {
  return Tensor::empty(host_, name, Category::communication, {1, longest_}, dtype);
}

}  // namespace tranche
