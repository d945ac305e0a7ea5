#include "runtime/checkpoint/reader.h"

#include <algorithm>

#include "runtime/checkpoint/regions.h"

namespace tranche::checkpoint {

std::vector<std::string> arrays_of(const Manifest& manifest, std::size_t rank, const std::vector<std::string>& kinds) {
  std::vector<std::string> names;
  for (std::size_t u = 0; u < manifest.units.size(); ++u) {
    const std::size_t first = manifest.boundaries[u][rank], count = manifest.boundaries[u][rank + 1] - first;
    for (const TensorRange& range : tensors_of_range(manifest.units[u], first, count))
      for (const std::string& kind : kinds) names.push_back(dataset_name(kind, range.tensor->name));
  }
  return names;
}

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

const StoredFile& Reader::stored(const std::string& name) const {
  const auto found = std::ranges::find(manifest_.files, name, &StoredFile::name);
  ensure(Exit::checkpoint, found != manifest_.files.end(), "the manifest of ", folder_.string(), " has no file ", name);
  return *found;
}

const TrancheFile& Reader::file(std::size_t rank) {
  constexpr std::size_t most_open = 64;
  if (const auto found = files_.find(rank); found != files_.end()) return found->second;
  if (files_.size() == most_open) files_.clear();
  const std::filesystem::path path = folder_ / tranche_name(rank, manifest_.ranks);
  const TrancheFile& opened = files_.try_emplace(rank, path).first->second;
  ensure(Exit::checkpoint, opened.description() == stored(path.filename().string()), path.string(),
         " is damaged: its structure is not what the manifest says");
  return opened;
}

void Reader::read(std::span<const TensorPart> parts) {
  std::map<std::size_t, std::vector<ArrayRange>> by_rank;
  for (const TensorPart& part : parts) {
    const auto place = places_.find(part.tensor);
    check(place != places_.end(), folder_.string(), " has no tensor ", part.tensor);
    const auto [unit, offset] = place->second;
    const std::vector<std::size_t>& cuts = manifest_.boundaries[unit];
    std::size_t at = offset + part.first;
    std::span<float> into = part.into;
    // The last rank that begins at or before the part; empty ones are passed over below.
    std::size_t rank = static_cast<std::size_t>(std::ranges::upper_bound(cuts, at) - cuts.begin()) - 1;
    for (; !into.empty(); ++rank) {
      check(rank < manifest_.ranks, "tensor ", part.tensor, " of ", folder_.string(), " ends too early");
      const std::size_t end = std::min(at + into.size(), cuts[rank + 1]);
      if (end <= at) continue;
      const std::size_t begins = std::max(cuts[rank], offset);  // where the rank's part of the tensor begins
      by_rank[rank].push_back({dataset_name(part.kind, part.tensor), at - begins, into.first(end - at)});
      into = into.subspan(end - at);
      at = end;
    }
  }
  for (const auto& [rank, ranges] : by_rank) file(rank).read(ranges);
}

void Reader::check_tranche(std::size_t rank, const std::vector<std::string>& kinds) {
  const TrancheFile& tranche = file(rank);
  for (const std::string& array : arrays_of(manifest_, rank, kinds)) tranche.check(array);
}

void Reader::check_whole_state() const {
  const std::filesystem::path path = folder_ / whole_state_name;
  ensure(Exit::checkpoint, describe_file(File::open(path)) == stored(whole_state_name), path.string(),
         " is damaged: its checksum does not fit its content");
}

}  // namespace tranche::checkpoint
