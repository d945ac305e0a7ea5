#include "runtime/checkpoint/save.h"

#include <algorithm>

#include "runtime/base/checksum.h"
#include "runtime/base/file.h"
#include "runtime/checkpoint/directory.h"
#include "runtime/checkpoint/manifest.h"
#include "runtime/checkpoint/regions.h"
#include "runtime/checkpoint/tranche_file.h"
#include "runtime/hdf5/file.h"

namespace tranche::checkpoint {
namespace {

namespace fs = std::filesystem;

// This rank's elements of a unit that are no padding.
struct Stored {
  std::size_t first = 0, count = 0;
};
Stored stored_of(const UnitLayout& unit, const OwnedSlice& slice) {
  const std::size_t size = unit.size(), first = std::min(slice.first, size);
  return {first, std::min(slice.first + slice.count, size) - first};
}

StoredFile write_tranche(const fs::path& path, std::uint64_t step, const ModelState& model) {
  std::vector<SliceParts> all;
  for (std::size_t u = 0; u < model.units.size(); ++u)
    for (std::size_t k = 0; k < model.kinds.size(); ++k) {
      const OwnedSlice& slice = model.slices[u][k];
      const Stored stored = stored_of(model.units[u], slice);
      SliceParts& of_slice = all.emplace_back(slice);
      for (const TensorRange& range : tensors_of_range(model.units[u], stored.first, stored.count))
        of_slice.parts.push_back(
            {dataset_name(model.kinds[k], range.tensor->name), range.first, range.in_range, range.count});
    }
  return write_tranche_file(path, step, all);
}

// Every tensor whole, in its own shape: a view of what the tranche files hold.
StoredFile write_whole_state(const fs::path& path, const Manifest& manifest) {
  hdf5::File file = hdf5::File::create(path);
  file.set_attribute("step", static_cast<std::int64_t>(manifest.step));
  for (const std::string& kind : manifest.kinds)
    for (std::size_t u = 0; u < manifest.units.size(); ++u) {
      std::vector<std::vector<hdf5::VirtualPiece>> pieces(manifest.units[u].tensors.size());
      for (std::size_t rank = 0; rank < manifest.ranks; ++rank) {
        const std::size_t first = manifest.boundaries[u][rank], count = manifest.boundaries[u][rank + 1] - first;
        for (const TensorRange& range : tensors_of_range(manifest.units[u], first, count)) {
          std::uint64_t in_part = 0;
          for (hdf5::Box& box : boxes_of_range(range.tensor->shape, range.first, range.count)) {
            const std::uint64_t elements = box.size();
            pieces[static_cast<std::size_t>(range.tensor - manifest.units[u].tensors.data())].push_back(
                {std::move(box),
                 tranche_name(rank, manifest.ranks),
                 dataset_name(kind, range.tensor->name),
                 {{in_part}, {elements}}});
            in_part += elements;
          }
        }
      }
      for (std::size_t t = 0; t < pieces.size(); ++t) {
        const StateTensor& tensor = manifest.units[u].tensors[t];
        file.create_virtual(dataset_name(kind, tensor.name), hdf5::Type::float32, extent_of(tensor.shape), pieces[t]);
      }
    }
  file.close();
  return describe_file(File::open(path));
}

void write_manifest(const fs::path& folder, const Manifest& manifest) {
  File file = File::create(folder / manifest_name);
  const std::string text = text_of(manifest);
  file.write(0, std::as_bytes(std::span{text.data(), text.size()}));
  file.sync();
  file.close();
}

// What every rank must agree on, as a checksum; and which ranges it will write, as JSON.
std::string intention(std::uint64_t step, const ModelState& model, const JobState& job) {
  check_state(model);
  Manifest common;
  common.step = step;
  common.kinds = model.kinds;
  common.units = model.units;
  common.boundaries.resize(model.units.size());
  common.state = job;
  Checksum checksum;
  checksum.add(text_of(common));
  Json ranges = Json::array();
  for (std::size_t u = 0; u < model.units.size(); ++u) {
    const Stored stored = stored_of(model.units[u], model.slices[u][0]);
    ranges.push_back(Json::array({stored.first, stored.count}));
  }
  return Json{{"common", checksum.hex()}, {"ranges", ranges}}.dump();
}

// The boundaries between ranks. Throws if ranks disagree or their ranges leave gaps.
std::vector<std::vector<std::size_t>> boundaries_of(const ModelState& model,
                                                    const std::vector<std::string>& intentions) {
  std::vector<std::vector<std::size_t>> boundaries(model.units.size(), {0});
  std::string common;
  for (std::size_t rank = 0; rank < intentions.size(); ++rank) {
    const Json said = parse_json(intentions[rank], str("rank ", rank), Exit::ranks);
    if (rank == 0) common = said["common"].get<std::string>();
    ensure(Exit::ranks, said["common"].get<std::string>() == common, "rank ", rank,
           " has other tensors, settings or counters than rank 0: they have lost step with each other");
    for (std::size_t u = 0; u < model.units.size(); ++u) {
      const auto first = said["ranges"][u][0].get<std::size_t>(), count = said["ranges"][u][1].get<std::size_t>();
      check(count == 0 || first == boundaries[u].back(), "rank ", rank, " writes elements from ", first, " of unit ",
            model.units[u].name, ", those before end at ", boundaries[u].back());
      boundaries[u].push_back(boundaries[u].back() + count);
    }
  }
  for (std::size_t u = 0; u < model.units.size(); ++u)
    check(boundaries[u].back() == model.units[u].size(), "all ranks together write ", boundaries[u].back(), " of the ",
          model.units[u].size(), " elements of unit ", model.units[u].name);
  return boundaries;
}

StoredFile stored_file_of(const std::string& said) {
  const Json json = parse_json(said, "a rank's report", Exit::internal);
  return {json["name"].get<std::string>(), json["size"].get<std::uint64_t>(), json["checksum"].get<std::string>()};
}

// After a failure, when no rank writes any more. What cannot be removed now goes when the next step begins.
void abandon(const fs::path& partial) {
  try {
    remove_folder(partial);
  } catch (const Error&) {
  }
}

fs::path save_agreed(const fs::path& directory, Manifest& manifest, const ModelState& model, const Peers& peers) {
  const fs::path folder = rank_zero_does(peers, [&] { return begin_step(directory, manifest.step).string(); });
  const std::vector<std::string> written = together(peers, [&] {
    const StoredFile file = write_tranche(folder / tranche_name(peers.rank, peers.size), manifest.step, model);
    return Json{{"name", file.name}, {"size", file.size}, {"checksum", file.checksum}}.dump();
  });
  return rank_zero_does(peers, [&] {
    manifest.files = {write_whole_state(folder / whole_state_name, manifest)};
    for (const std::string& said : written) manifest.files.push_back(stored_file_of(said));
    write_manifest(folder, manifest);
    return finish_step(directory, manifest.step).string();
  });
}

}  // namespace

fs::path save(const fs::path& directory, std::uint64_t step, const ModelState& model, const JobState& job,
              const Peers& peers, std::size_t keep) {
  const Doing frame{[&] { return str("saving step ", step, " to ", directory.string()); }};
  const std::vector<std::string> intentions = together(peers, [&] { return intention(step, model, job); });
  Manifest manifest{step, peers.size, model.kinds, model.units, boundaries_of(model, intentions), job, {}};
  fs::path folder;
  try {
    folder = save_agreed(directory, manifest, model, peers);
  } catch (const Error&) {
    if (peers.rank == 0) abandon(directory / (step_name(step) + ".partial"));
    throw;
  }
  rank_zero_does(peers, [&] {
    delete_old(directory, step, keep);
    return std::string{};
  });
  return folder;
}

}  // namespace tranche::checkpoint
