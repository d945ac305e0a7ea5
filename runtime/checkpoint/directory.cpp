#include "runtime/checkpoint/directory.h"

#include <algorithm>
#include <charconv>
#include <iomanip>
#include <sstream>

#include "runtime/base/file.h"
#include "runtime/checkpoint/manifest.h"

namespace tranche::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "step-", partial = ".partial", replaced = ".replaced";

fs::path with(const fs::path& path, std::string_view suffix) { return path.string() + std::string{suffix}; }

std::vector<fs::path> entries(const fs::path& directory) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry{directory, error}, end; !error && entry != end; entry.increment(error))
    paths.push_back(entry->path());
  std::ranges::sort(paths);
  return paths;
}

// A folder that is deleted loses its name first, durably: half of it must never be taken for a checkpoint.
void delete_step(const fs::path& folder) {
  const fs::path doomed = with(folder, partial);
  remove_folder(doomed);
  rename_path(folder, doomed);
  sync_folder(folder.parent_path());
  remove_folder(doomed);
}

// Why the folder is not a complete checkpoint; nothing if it is one.
std::optional<std::string> incomplete(const fs::path& folder) {
  try {
    const Manifest manifest = read_manifest(folder);
    for (const StoredFile& file : manifest.files) {
      std::error_code error;
      const std::uintmax_t size = fs::file_size(folder / file.name, error);
      if (error) return str(file.name, " is missing");
      if (size != file.size) return str(file.name, " has ", size, " bytes, not ", file.size);
    }
  } catch (const std::exception& error) {
    return without_frames(error.what());
  }
  return std::nullopt;
}

}  // namespace

std::string step_name(std::uint64_t step) {
  std::ostringstream name;
  name << prefix << std::setfill('0') << std::setw(6) << step;
  return std::move(name).str();
}

std::optional<std::uint64_t> step_of_name(const std::string& name) {
  std::string_view rest = name;
  if (!rest.starts_with(prefix)) return std::nullopt;
  rest.remove_prefix(prefix.size());
  if (rest.ends_with(replaced)) rest.remove_suffix(replaced.size());
  std::uint64_t step = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), step);
  if (rest.empty() || error != std::errc{} || end != rest.data() + rest.size()) return std::nullopt;
  return step;
}

std::vector<fs::path> step_folders(const fs::path& directory) {
  std::vector<std::pair<std::uint64_t, fs::path>> steps;
  for (const fs::path& path : entries(directory))
    if (const auto step = step_of_name(path.filename().string())) steps.emplace_back(*step, path);
  // Of the same step, the one that was replaced comes last: its name is longer.
  std::ranges::sort(steps, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second.string().size() < b.second.string().size();
  });
  std::vector<fs::path> folders;
  folders.reserve(steps.size());
  for (auto& [step, path] : steps) folders.push_back(std::move(path));
  return folders;
}

fs::path begin_step(const fs::path& directory, std::uint64_t step) {
  create_folder(directory);
  for (const fs::path& path : entries(directory)) {
    const std::string name = path.filename().string();
    if (name.starts_with(prefix) && name.ends_with(partial)) remove_folder(path);
    // What was replaced goes once its successor is in place.
    if (name.starts_with(prefix) && name.ends_with(replaced) && !incomplete(directory / step_name(*step_of_name(name))))
      delete_step(path);
  }
  remove_file(directory / "latest.partial");
  fs::path folder = with(directory / step_name(step), partial);
  create_folder(folder);
  return folder;
}

fs::path finish_step(const fs::path& directory, std::uint64_t step) {
  fs::path folder = directory / step_name(step);
  const fs::path old = with(folder, replaced);
  std::error_code error;
  sync_folder(with(folder, partial));
  const bool replaces = fs::exists(folder, error);
  if (replaces && fs::exists(old, error)) {
    delete_step(folder);  // incomplete, or begin_step had removed the old one
  } else if (replaces) {
    rename_path(folder, old);
  }
  rename_path(with(folder, partial), folder);
  sync_folder(directory);
  write_small_file(directory / "latest", step_name(step) + "\n");
  if (fs::exists(old, error)) delete_step(old);
  return folder;
}

void delete_old(const fs::path& directory, std::uint64_t newest, std::size_t keep) {
  if (keep == 0) return;
  std::size_t kept = 1;
  for (const fs::path& folder : step_folders(directory)) {
    if (step_of_name(folder.filename().string()) == newest || incomplete(folder)) continue;
    if (++kept > keep) delete_step(folder);
  }
}

Newest find_newest_complete(const fs::path& directory) {
  Newest newest;
  for (const fs::path& folder : step_folders(directory)) {
    const auto reason = incomplete(folder);
    if (!reason) {
      newest.folder = folder;
      break;
    }
    newest.skipped.push_back({folder, *reason});
  }
  return newest;
}

fs::path resolve(const fs::path& path) {
  std::error_code error;
  ensure(Exit::checkpoint, fs::is_directory(path, error), "there is no checkpoint directory ", path.string());
  // "runs/demo/" ends with an empty name.
  const std::string name = (path.has_filename() ? path : path.parent_path()).filename().string();
  if (step_of_name(name) || fs::exists(path / manifest_name, error)) return path;
  const Newest newest = find_newest_complete(path);
  std::string skipped;
  for (const Skipped& each : newest.skipped) skipped += str("\n  skipped ", each.folder.string(), ": ", each.reason);
  ensure(Exit::checkpoint, newest.folder.has_value(), path.string(), " holds no complete checkpoint", skipped);
  return *newest.folder;
}

}  // namespace tranche::checkpoint
