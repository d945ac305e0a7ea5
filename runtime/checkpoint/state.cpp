#include "runtime/checkpoint/state.h"

#include <algorithm>
#include <set>

#include "runtime/base/round.h"

namespace tranche::checkpoint {

std::size_t UnitLayout::size() const {
  std::size_t sum = 0;
  for (const StateTensor& tensor : tensors) sum += tensor.shape.size();
  return sum;
}

OwnedSlice OwnedSlice::resident(std::size_t first, std::span<float> elements) {
  return {first, elements.size(), true, [elements] { return Borrowed{elements}; }};
}

std::size_t share_of(std::size_t size, std::size_t ranks) {
  constexpr std::size_t block = 1024;
  return pieces_of(size, ranks * block) * block;
}

ModelState written_by(const ModelState& held, std::size_t rank, std::size_t ranks) {
  ModelState written = held;
  for (std::size_t u = 0; u < held.units.size(); ++u) {
    const std::size_t size = held.units[u].size(), share = share_of(size, ranks);
    const std::size_t first = std::min(rank * share, size), last = std::min(first + share, size);
    for (OwnedSlice& slice : written.slices[u]) {
      const std::size_t end = slice.first + slice.count;
      check(first == last || (slice.first <= first && last <= end), "rank ", rank, " of ", ranks, " holds elements ",
            slice.first, " to ", end, " of unit ", held.units[u].name, " and should write ", first, " to ", last);
      if (first == last) {
        slice = {first, 0, slice.stays, [] { return Borrowed{}; }};
        continue;
      }
      slice = {first, last - first, slice.stays,
               [whole = slice.borrow, begin = first - slice.first, count = last - first] {
                 const Borrowed all = whole();
                 return Borrowed{all.elements.subspan(begin, count), all.holder};
               }};
    }
  }
  return written;
}

void check_state(const ModelState& state) {
  check(!state.kinds.empty() && state.slices.size() == state.units.size(), "a state with ", state.units.size(),
        " units, slices of ", state.slices.size(), " and ", state.kinds.size(), " kinds");
  std::set<std::string> names;
  for (std::size_t u = 0; u < state.units.size(); ++u) {
    for (const StateTensor& tensor : state.units[u].tensors) {
      check(!tensor.name.empty() && tensor.name.front() != '/' && tensor.shape.size() > 0, "tensor \"", tensor.name,
            "\" ", tensor.shape, " cannot be stored");
      check(names.insert(tensor.name).second, "two tensors are called ", tensor.name);
    }
    const auto& slices = state.slices[u];
    check(slices.size() == state.kinds.size(), "unit ", state.units[u].name, " has ", slices.size(), " slices for ",
          state.kinds.size(), " kinds");
    for (const OwnedSlice& slice : slices)
      check(slice.first == slices[0].first && slice.count == slices[0].count, "the slices of unit ",
            state.units[u].name, " cover different ranges");
  }
}

}  // namespace tranche::checkpoint
