#include "runtime/checkpoint/verify.h"

#include <algorithm>
#include <optional>

#include "runtime/checkpoint/regions.h"
#include "runtime/hdf5/file.h"

namespace tranche::checkpoint {
namespace {

namespace fs = std::filesystem;

// Whether the library can read all of a dataset: every chunk has a checksum of its own.
bool readable(const hdf5::File& file, const std::string& name, std::size_t count) {
  try {
    const hdf5::Dataset dataset = file.dataset(name);
    std::vector<float> buffer(std::min<std::size_t>(count, std::size_t{1} << 18));
    for (std::size_t at = 0; at < count; at += buffer.size())
      dataset.read<float>(at, std::span{buffer}.first(std::min(buffer.size(), count - at)));
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Which tensors of a rank's file cannot be read.
std::string tensors_damaged(const fs::path& path, const Manifest& manifest, std::size_t rank) {
  std::string names;
  try {
    const hdf5::File file = hdf5::File::open(path, Exit::checkpoint);
    for (std::size_t u = 0; u < manifest.units.size(); ++u) {
      const std::size_t first = manifest.boundaries[u][rank], count = manifest.boundaries[u][rank + 1] - first;
      for (const TensorRange& range : tensors_of_range(manifest.units[u], first, count))
        for (const std::string& kind : manifest.kinds)
          if (const std::string name = dataset_name(kind, range.tensor->name); !readable(file, name, range.count))
            names += (names.empty() ? "" : ", ") + name;
    }
  } catch (const Error&) {
    return "its structure cannot be read, so none of its tensors can";
  }
  return names.empty() ? "in its structure (HDF5 metadata), in no tensor's values" : "in " + names;
}

std::optional<Damage> examine(const fs::path& folder, const Manifest& manifest, std::size_t index) {
  const StoredFile& expected = manifest.files[index];
  const fs::path path = folder / expected.name;
  std::error_code error;
  if (!fs::exists(path, error)) return Damage{expected.name, "it is missing"};
  StoredFile found;
  try {
    found = describe_file(path);
  } catch (const Error& failure) {
    const std::string text = failure.what();
    return Damage{expected.name, text.substr(0, text.find("\n  while "))};
  }
  if (found.size == expected.size && found.checksum == expected.checksum) return std::nullopt;
  const std::string how = found.size == expected.size ? "its checksum does not fit its content: "
                                                      : str("it has ", found.size, " bytes, not ", expected.size, ": ");
  for (std::size_t rank = 0; rank < manifest.ranks; ++rank)
    if (expected.name == tranche_name(rank, manifest.ranks))
      return Damage{expected.name, how + tensors_damaged(path, manifest, rank)};
  return Damage{expected.name, how + "in its structure; it holds no tensor's values"};
}

}  // namespace

std::string text_of(const std::vector<Damage>& damages) {
  std::string text;
  for (const Damage& damage : damages) text += (text.empty() ? "" : "; ") + damage.file + ": " + damage.what;
  return text;
}

std::vector<Damage> verify(const fs::path& folder) { return verify_together(folder, read_manifest(folder), Peers{}); }

std::vector<Damage> verify_together(const fs::path& folder, const Manifest& manifest, const Peers& peers) {
  const std::vector<std::string> all = together(peers, [&] {
    Json mine = Json::array();
    for (std::size_t index = peers.rank; index < manifest.files.size(); index += peers.size)
      if (const auto damage = examine(folder, manifest, index))
        mine.push_back(Json::array({damage->file, damage->what}));
    return mine.dump(-1, ' ', false, Json::error_handler_t::replace);
  });
  std::vector<Damage> damages;
  for (std::size_t rank = 0; rank < all.size(); ++rank)
    for (const Json& each : parse_json(all[rank], str("rank ", rank), Exit::internal))
      damages.push_back({each[0].get<std::string>(), each[1].get<std::string>()});
  return damages;
}

}  // namespace tranche::checkpoint
