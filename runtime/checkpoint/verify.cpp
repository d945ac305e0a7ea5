#include "runtime/checkpoint/verify.h"

#include <algorithm>
#include <optional>

#include "runtime/checkpoint/reader.h"
#include "runtime/checkpoint/tranche_file.h"

namespace tranche::checkpoint {
namespace {

namespace fs = std::filesystem;

// Whether `look` finds a checkpoint's content as it was written; what the disk refuses is thrown on.
template <class Look> bool finds_it_whole(Look look) {
  try {
    look();
    return true;
  } catch (const Error& error) {
    if (error.exit() != Exit::checkpoint) throw;
    return false;
  }
}

// What is damaged in a rank's file; nothing if it is as it was written.
std::string damage_in_tranche(const fs::path& path, const StoredFile& expected,
                              const std::vector<std::string>& arrays) {
  std::optional<TrancheFile> file;
  if (!finds_it_whole([&] { file.emplace(path); })) return "its structure cannot be read, so none of its tensors can";
  std::string names;
  for (const std::string& array : arrays)
    if (!finds_it_whole([&] { file->check(array); })) names += (names.empty() ? "" : ", ") + array;
  if (!names.empty()) return "in " + names;
  return file->description() == expected ? "" : "in its structure (HDF5 metadata, checksums), in no tensor's values";
}

std::string damage_in_whole_state(const fs::path& path, const StoredFile& expected) {
  return describe_file(File::open(path)) == expected ? "" : "in its structure; it holds no tensor's values";
}

std::optional<Damage> examine(const fs::path& folder, const Manifest& manifest, std::size_t index) {
  const StoredFile& expected = manifest.files[index];
  const fs::path path = folder / expected.name;
  std::error_code error;
  if (!fs::exists(path, error)) return Damage{expected.name, "it is missing"};
  try {
    const std::uint64_t size = File::open(path).size();
    std::string inside;
    if (expected.name == whole_state_name) inside = damage_in_whole_state(path, expected);
    for (std::size_t rank = 0; rank < manifest.ranks; ++rank)
      if (expected.name == tranche_name(rank, manifest.ranks))
        inside = damage_in_tranche(path, expected, arrays_of(manifest, rank, manifest.kinds));
    if (inside.empty()) return std::nullopt;
    return Damage{expected.name, (size == expected.size ? "its checksum does not fit its content: "
                                                        : str("it has ", size, " bytes, not ", expected.size, ": ")) +
                                     inside};
  } catch (const Error& failure) {
    return Damage{expected.name, without_frames(failure.what())};
  }
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
