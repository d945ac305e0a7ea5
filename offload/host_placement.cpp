#include "offload/host_placement.h"

#include <algorithm>

#include "offload/arrivals.h"
#include "offload/pieces.h"

namespace tranche {

HostPlacement::HostPlacement(const OffloadConfig& config, Precision precision, DType gradients, Device& device,
                             Device& host)
    : config_(config),
      precision_(precision),
      device_(device),
      host_(host),
      departing_(config.buffer_count),
      copies_(device.copy_stream()),
      sums_(device, host, gradients, [this](const Unit& unit) { return on_host(unit.index()); }) {}

void HostPlacement::adopt(const std::vector<Owned>& owned, std::uint64_t seed) {
  owned_ = &owned;
  choose_units();
  std::size_t longest = 0;
  for (std::size_t u = 0; u < owned.size(); ++u) {
    state_.add_master(owned[u], on_host(u) ? host_ : device_, on_host(u) || precision_.keeps_master(), seed);
    if (on_host(u)) longest = std::max(longest, owned[u].size);
  }
  if (precision_.keeps_master())
    for (Departing& each : departing_)
      each.rounded =
          Tensor::empty(host_, "rounded masters", Category::communication,
                        {1, std::min(longest, piece_elements(config_.sub_group, longest))}, precision_.working);
  round();
}

// Whole units, the last ones: backward gives their gradients first, so that there is the most to hide copies behind.
void HostPlacement::choose_units() {
  std::size_t all = 0;
  for (const Owned& each : *owned_) all += each.size;
  const double wanted = config_.ratio * static_cast<double>(all);
  double chosen = 0;
  for (first_on_host_ = owned_->size(); first_on_host_ > 0 && chosen < wanted;)
    chosen += static_cast<double>((*owned_)[--first_on_host_].size);
}

void HostPlacement::add_moment(const std::string& name) {
  kinds_.push_back(name);
  state_.add_moment(name);
}

void HostPlacement::do_update(const Shards& gradients, const Work& work) { over_pieces(gradients, work, updated_); }

void HostPlacement::round() {
  over_pieces(
      {}, [](const StatePiece& piece) { tranche::round(piece); }, [](Unit&) {});
}

void HostPlacement::over_pieces(const Shards& gradients, const Work& work, const Updated& updated) {
  Arrivals arrivals{*owned_, updated};
  for (std::size_t u = 0; u < owned_->size(); ++u)
    over_pieces_of(u, gradients.empty() ? Tensor{} : gradients[u], work, arrivals);
  arrivals.finish();
}

void HostPlacement::over_pieces_of(std::size_t unit, const Tensor& gradient, const Work& work, Arrivals& arrivals) {
  const Owned& owned = (*owned_)[unit];
  if (!on_host(unit)) {
    StatePiece whole = state_.piece(unit, 0, owned.size, gradient);
    if (precision_.keeps_master()) whole.rounded = owned.working;
    work(whole);
    return arrivals.add(unit, {});
  }
  const std::size_t longest = piece_elements(config_.sub_group, owned.size);
  for (std::size_t first = 0; first < owned.size; first += longest) {
    const Shape part{1, std::min(longest, owned.size - first)};
    StatePiece piece = state_.piece(unit, first, part.size(), gradient);
    Departing& departing = departing_[turn_++ % departing_.size()];
    departing.gone.wait();
    if (precision_.keeps_master()) piece.rounded = departing.rounded.view(0, part);
    work(piece);
    departing.gone = owned.receive(first, piece.rounded ? piece.rounded : piece.master, *copies_);
    arrivals.add(unit, departing.gone);
  }
}

}  // namespace tranche
