#include "runtime/checkpoint/reader.h"

#include <algorithm>

namespace tranche::checkpoint {

Reader::Reader(std::filesystem::path folder, const Manifest& manifest)
    : folder_(std::move(folder)), manifest_(manifest) {
  for (std::size_t u = 0; u < manifest.units.size(); ++u) {
    std::size_t offset = 0;
    for (const StateTensor& tensor : manifest.units[u].tensors) {
      places_[tensor.name] = {u, offset};
      offset += tensor.shape.size();
    }
  }
}

hdf5::File& Reader::file(std::size_t rank) {
  constexpr std::size_t most_open = 64;
  if (const auto found = files_.find(rank); found != files_.end()) return found->second;
  if (files_.size() == most_open) files_.clear();
  return files_.emplace(rank, hdf5::File::open(folder_ / tranche_name(rank, manifest_.ranks), Exit::checkpoint))
      .first->second;
}

void Reader::read(const std::string& kind, const std::string& tensor, std::size_t first, std::span<float> into) {
  const auto place = places_.find(tensor);
  check(place != places_.end(), folder_.string(), " has no tensor ", tensor);
  const auto [unit, offset] = place->second;
  const std::vector<std::size_t>& cuts = manifest_.boundaries[unit];
  // The last rank that begins at or before the range; empty ones are passed over below.
  std::size_t rank = static_cast<std::size_t>(std::ranges::upper_bound(cuts, offset + first) - cuts.begin()) - 1;
  for (; !into.empty(); ++rank) {
    check(rank < manifest_.ranks, "tensor ", tensor, " of ", folder_.string(), " ends too early");
    const std::size_t at = offset + first, end = std::min(at + into.size(), cuts[rank + 1]);
    if (end <= at) continue;
    const std::size_t begins = std::max(cuts[rank], offset);  // where the rank's part of the tensor begins
    file(rank).dataset(dataset_name(kind, tensor)).read<float>(at - begins, into.first(end - at));
    first += end - at;
    into = into.subspan(end - at);
  }
}

}  // namespace tranche::checkpoint
