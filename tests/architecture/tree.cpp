#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "tests/architecture/rules.h"

namespace tranche::architecture {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// "/build/" in .gitignore: no part of the tree.
std::set<std::string> ignored_at_the_top(const fs::path& root) {
  std::set<std::string> names{".git"};
  std::ifstream in{root / ".gitignore"};
  for (std::string line; std::getline(in, line);)
    if (line.size() > 2 && line.front() == '/' && line.back() == '/') names.insert(line.substr(1, line.size() - 2));
  return names;
}

bool is_text(const fs::path& path, const std::string& text) {
  return path.extension() != ".h5" && text.find('\0') == std::string::npos;
}

}  // namespace

std::vector<std::string> top_level_folders(const std::string& root) {
  const std::set<std::string> ignored = ignored_at_the_top(root);
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator{root})
    if (const std::string name = entry.path().filename(); entry.is_directory() && !ignored.contains(name))
      names.push_back(name);
  std::ranges::sort(names);
  return names;
}

std::vector<Source> read_tree(const std::string& root) {
  std::vector<Source> sources;
  const auto take = [&](const fs::directory_entry& entry) {
    if (!entry.is_regular_file()) return;
    std::string text = read(entry.path());
    if (is_text(entry.path(), text))
      sources.push_back({fs::relative(entry.path(), root).generic_string(), std::move(text)});
  };
  for (const fs::directory_entry& entry : fs::directory_iterator{root})
    if (entry.path().filename() != ".git") take(entry);  // a worktree's is a file
  for (const std::string& folder : top_level_folders(root))
    for (auto entry = fs::recursive_directory_iterator{fs::path{root} / folder}; entry != fs::end(entry); ++entry)
      if (entry->path().filename() == "__pycache__")
        entry.disable_recursion_pending();
      else
        take(*entry);
  std::ranges::sort(sources, {}, &Source::path);
  return sources;
}

}  // namespace tranche::architecture
