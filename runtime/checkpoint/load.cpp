#include "runtime/checkpoint/load.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "runtime/checkpoint/reader.h"
#include "runtime/checkpoint/regions.h"
#include "runtime/checkpoint/verify.h"

namespace tranche::checkpoint {
namespace {

namespace fs = std::filesystem;

std::string described(const StateTensor& tensor) { return str(tensor.name, " ", tensor.shape); }

// Every tensor of the model is in the checkpoint, and so are its kinds; returns what else is there.
std::vector<StateTensor> check_contained(const fs::path& folder, const Manifest& manifest, const ModelState& model) {
  std::map<std::string, const StateTensor*> stored;
  for (const UnitLayout& unit : manifest.units)
    for (const StateTensor& tensor : unit.tensors) stored[tensor.name] = &tensor;
  for (const UnitLayout& unit : model.units)
    for (const StateTensor& tensor : unit.tensors) {
      const auto found = stored.find(tensor.name);
      ensure(Exit::checkpoint, found != stored.end(), folder.string(), " is of another model: it has no tensor ",
             described(tensor));
      ensure(Exit::checkpoint, found->second->shape == tensor.shape, folder.string(),
             " is of another model: it has the tensor ", described(*found->second), ", the job's model has ",
             described(tensor));
      stored.erase(found);
    }
  for (const std::string& kind : model.kinds)
    ensure(Exit::checkpoint, std::ranges::find(manifest.kinds, kind) != manifest.kinds.end(), folder.string(),
           " has no ", kind, ": it was written with another optimizer, or for inference only");
  std::vector<StateTensor> others;
  for (const UnitLayout& unit : manifest.units)
    for (const StateTensor& tensor : unit.tensors)
      if (stored.contains(tensor.name)) others.push_back(tensor);
  return others;
}

void check_all_known(const fs::path& folder, const std::vector<StateTensor>& others) {
  ensure(Exit::checkpoint, others.empty(), folder.string(), " is of another model: it has the tensor ",
         others.empty() ? "" : described(others.front()), ", which the job's model has not");
}

void check_same_model(const fs::path& folder, const Manifest& manifest, const ModelState& model) {
  check_all_known(folder, check_contained(folder, manifest, model));
}

// Fills the slices, checking what is read on its way; the ranks share the checking of what none of them reads.
void read_slices(const fs::path& folder, const Manifest& manifest, const ModelState& model, const Peers& peers) {
  Reader reader{folder, manifest};
  for (std::size_t u = 0; u < model.units.size(); ++u)
    for (std::size_t k = 0; k < model.kinds.size(); ++k) {
      const OwnedSlice& slice = model.slices[u][k];
      const Borrowed borrowed = slice.borrow();
      std::vector<TensorPart> parts;
      for (const TensorRange& range : tensors_of_range(model.units[u], slice.first, slice.count))
        parts.push_back(
            {model.kinds[k], range.tensor->name, range.first, borrowed.elements.subspan(range.in_range, range.count)});
      reader.read(parts);
      slice.keep(borrowed);
    }
  std::vector<std::string> unread;
  std::ranges::remove_copy_if(manifest.kinds, std::back_inserter(unread), [&](const std::string& kind) {
    return std::ranges::find(model.kinds, kind) != model.kinds.end();
  });
  for (std::size_t rank = peers.rank; rank < manifest.ranks; rank += peers.size) reader.check_tranche(rank, unread);
  if (peers.rank == 0) reader.check_whole_state();
}

// Every rank sees the same manifest, or every rank throws.
Manifest read_same_manifest(const fs::path& folder, const Peers& peers) {
  Manifest manifest;
  const std::vector<std::string> seen = together(peers, [&] {
    manifest = read_manifest(folder);
    return text_of(manifest);
  });
  for (std::size_t rank = 0; rank < seen.size(); ++rank)
    ensure(Exit::ranks, seen[rank] == seen[0], "rank ", rank, " sees another ", (folder / manifest_name).string(),
           " than rank 0: is the directory shared by all hosts?");
  return manifest;
}

// Fills the slices, or says what is damaged. Throws what check_model(folder, manifest, model) throws.
template <class CheckModel>
std::vector<Damage> fill(const fs::path& folder, const Manifest& manifest, const ModelState& model, const Peers& peers,
                         const CheckModel& check_model) {
  together(peers, [&] {
    check_state(model);
    check_model(folder, manifest, model);
    return std::string{};
  });
  const std::vector<std::string> failures = together(peers, [&] {
    try {
      read_slices(folder, manifest, model, peers);
    } catch (const Error& error) {
      if (error.exit() != Exit::checkpoint && error.exit() != Exit::storage) throw;
      return without_frames(error.what());
    }
    return std::string{};
  });
  const auto failed = std::ranges::find_if_not(failures, [](const std::string& said) { return said.empty(); });
  if (failed == failures.end()) return {};
  // The first block that did not fit ended the reading: this finds all, and names files and tensors.
  std::vector<Damage> damages = verify_together(folder, manifest, peers);
  // Nothing is: then it was the reading, or what a slice was borrowed from, and no older checkpoint would do better.
  ensure(Exit::storage, !damages.empty(), *failed);
  return damages;
}

template <class CheckModel>
Manifest load_checked(const fs::path& folder, const ModelState& model, const Peers& peers,
                      const CheckModel& check_model) {
  const Doing frame{[&] { return str("loading the checkpoint ", folder.string()); }};
  Manifest manifest = read_same_manifest(folder, peers);
  const std::vector<Damage> damages = fill(folder, manifest, model, peers, check_model);
  ensure(Exit::checkpoint, damages.empty(), folder.string(), " is damaged: ", text_of(damages));
  return manifest;
}

}  // namespace

Manifest load(const fs::path& folder, const ModelState& model, const Peers& peers, const LeftOut& left_out) {
  return load_checked(folder, model, peers, [&](const fs::path& of, const Manifest& manifest, const ModelState& asked) {
    std::vector<StateTensor> others = check_contained(of, manifest, asked);
    std::erase_if(others, [&](const StateTensor& tensor) { return left_out(tensor.name); });
    check_all_known(of, others);
  });
}

Manifest load_part(const fs::path& folder, const ModelState& model, const Peers& peers) {
  return load_checked(folder, model, peers, check_contained);
}

Resumption load_newest(const fs::path& directory, const ModelState& model, const Peers& peers) {
  const Doing frame{[&] { return str("looking for the newest checkpoint in ", directory.string()); }};
  Resumption resumption;
  // Rank 0 looks; the others may see a directory that is a moment older.
  const std::string listed = rank_zero_does(peers, [&] {
    std::string lines;
    for (const fs::path& folder : step_folders(directory)) lines += folder.string() + "\n";
    return lines;
  });
  for (std::size_t at = 0; at < listed.size();) {
    const std::size_t end = listed.find('\n', at);
    const fs::path folder = listed.substr(at, end - at);
    at = end + 1;
    Manifest manifest;
    try {
      manifest = read_same_manifest(folder, peers);
    } catch (const Error& error) {
      if (error.exit() == Exit::ranks) throw;
      resumption.skipped.push_back({folder, without_frames(error.what())});
      continue;
    }
    if (const std::vector<Damage> damages = fill(folder, manifest, model, peers, check_same_model); !damages.empty()) {
      resumption.skipped.push_back({folder, text_of(damages)});
      continue;
    }
    resumption.found = Resumed{folder, std::move(manifest)};
    break;
  }
  return resumption;
}

}  // namespace tranche::checkpoint
