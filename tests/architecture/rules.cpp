#include "tests/architecture/rules.h"

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string_view>

namespace tranche::architecture {
namespace {

using Names = std::set<std::string, std::less<>>;

const Names folders{"runtime", "partition", "offload", "amp", "compress", "launcher", "configs", "tests", "docs"};
const Names features{"partition", "offload", "amp", "compress"};

// The arrows inside runtime; what they reach may be included too.
const std::map<std::string, Names, std::less<>> rooms{
    {"base", {}},
    {"device", {"base"}},
    {"tensor", {"device"}},
    {"ops", {"tensor"}},
    {"autograd", {"ops"}},
    {"comm", {"device"}},
    {"backend", {"ops", "comm"}},
    {"nn", {"autograd"}},
    {"models", {"nn"}},
    {"hdf5", {"base"}},
    {"data", {"hdf5"}},
    {"optim", {"nn"}},
    {"checkpoint", {"hdf5", "device"}},
    {"train", {"models", "optim", "comm", "data", "checkpoint"}},
};

struct Owned {
  std::string_view header;  // what the name begins with
  std::string_view owner;   // what the path of a file that may include it begins with
};

// A name that several places may use has several lines.
constexpr Owned third_party[]{
    {"mpi.h", "runtime/comm/"},
    {"nccl", "runtime/comm/"},
    {"hdf5", "runtime/hdf5/"},
    {"H5", "runtime/hdf5/"},
    {"dnnl", "runtime/ops/"},
    {"oneapi/dnnl", "runtime/ops/"},
    {"nlohmann/", "runtime/base/"},
    {"spdlog/", "runtime/base/"},
    {"fmt/", "runtime/base/"},
    {"openssl/", "runtime/base/"},
    {"xxhash", "runtime/base/"},
    {"xxh3", "runtime/base/"},
    {"pcre2", "runtime/data/"},
    {"sentencepiece", "runtime/data/"},
    {"lapack", "compress/"},
    {"CLI/", "launcher/"},
    {"cuda", "runtime/device/cuda/"},
    {"cuda", "runtime/ops/cuda/"},
    {"cublas", "runtime/ops/cuda/"},
    {"nvtx3/", "runtime/device/cuda/"},
    {"gtest/", "tests/"},
    {"gmock/", "tests/"},
    {"boost/context", "tests/cuda_emulation/"},
    {"boost/", "launcher/"},
};

struct Include {
  std::size_t line;
  std::string name;
  bool quoted;
};

bool ends_with(std::string_view text, std::string_view end) { return text.ends_with(end); }

bool is_header(std::string_view path) { return ends_with(path, ".h") || ends_with(path, ".cuh"); }

bool is_source(std::string_view path) { return is_header(path) || ends_with(path, ".cpp") || ends_with(path, ".cu"); }

std::string at(const Source& source, std::size_t line, const std::string& what) {
  return source.path + ":" + std::to_string(line) + ": " + what;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<Include> includes_of(const Source& source) {
  static const std::regex directive{R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re"};
  std::vector<Include> found;
  if (!is_source(source.path)) return found;
  const std::vector<std::string> lines = lines_of(source.text);
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (std::smatch match; std::regex_search(lines[i], match, directive))
      found.push_back({i + 1, match[2], match[1] == "\""});
  return found;
}

std::string part(std::string_view path, int index) {
  for (; index > 0; --index) {
    const auto slash = path.find('/');
    if (slash == std::string_view::npos) return {};
    path.remove_prefix(slash + 1);
  }
  const auto slash = path.find('/');
  return std::string{slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash)};
}

bool reaches(const std::string& from, const std::string& to) {
  if (from == to) return true;
  const auto room = rooms.find(from);
  if (room == rooms.end()) return false;
  return std::ranges::any_of(room->second, [&](const std::string& next) { return reaches(next, to); });
}

// Empty when a file at `from` may know a file at `to`.
std::string objection(std::string_view from, std::string_view to) {
  const std::string ours = part(from, 0), theirs = part(to, 0);
  if (!folders.contains(theirs)) return "is not written from the root";
  if (ours == "tests") return {};
  if (theirs == "tests") return "is a test's";
  if (ours == "launcher") return {};
  if (features.contains(ours)) {
    if (theirs == ours || theirs == "runtime") return {};
    return theirs == "launcher" ? "a feature does not know the program" : "features do not know each other";
  }
  if (ours != "runtime") return "no code belongs in this folder";
  if (theirs != "runtime") return "runtime knows no folder beside it";
  const std::string room = part(from, 1), wanted = part(to, 1);
  if (!rooms.contains(room)) return "'" + room + "' is no room of runtime";
  if (!reaches(room, wanted)) return "'" + room + "' does not know '" + wanted + "'";
  return {};
}

}  // namespace

Violations wrong_arrows(const Source& source) {
  Violations found;
  for (const Include& include : includes_of(source))
    if (include.quoted)
      if (const std::string why = objection(source.path, include.name); !why.empty())
        found.push_back(at(source, include.line, "\"" + include.name + "\": " + why));
  return found;
}

Violations wrong_link_lines(const Source& source) {
  static const std::regex call{R"(tranche_room\(\s*(\w+)([^)]*)\))"};
  static const std::regex keyword{"[A-Z]+"};
  Violations found;
  if (!ends_with(source.path, "CMakeLists.txt")) return found;
  // A room's header stands for the room: the link line is held to the include rule.
  const auto header_of = [](const std::string& name) {
    return (rooms.contains(name) ? "runtime/" + name : name) + "/any.h";
  };
  for (std::sregex_iterator match{source.text.begin(), source.text.end(), call}, end; match != end; ++match) {
    std::istringstream words{(*match)[2]};
    bool depends = false;
    for (std::string word; words >> word;) {
      if (std::regex_match(word, keyword))
        depends = word == "DEPENDS";
      else if (depends)
        if (const std::string why = objection(header_of((*match)[1]), header_of(word)); !why.empty())
          found.push_back(at(source, 1, "tranche_room(" + (*match)[1].str() + ") DEPENDS " + word + ": " + why));
    }
  }
  return found;
}

Violations foreign_headers(const Source& source) {
  Violations found;
  for (const Include& include : includes_of(source)) {
    if (source.path.starts_with("tests/") && !include.name.starts_with("mpi.h")) continue;  // tests forge files
    const auto named = [&](const Owned& each) { return include.name.starts_with(each.header); };
    const auto owned = [&](const Owned& each) { return named(each) && source.path.starts_with(each.owner); };
    const auto first = std::ranges::find_if(third_party, named);
    if (first != std::end(third_party) && std::ranges::none_of(third_party, owned))
      found.push_back(at(source, include.line, "<" + include.name + "> belongs to " + std::string{first->owner}));
  }
  return found;
}

Violations processor_code(const Source& source) {
  static const std::regex code{
      R"(\b(\w*mmintrin|x86\w*intrin|x86gprintrin|cpuid|arm_neon|arm_sve)\.h\b|)"
      R"(\b(__m(64|128|256|512)[dih]?|_mm(256|512)?_\w+|__builtin_(ia32|cpu|aarch64|neon)_\w+)\b|)"
      R"(\b(target_clones|__asm__|asm)\s*\(|gnu::target\s*\(|__attribute__\s*\(\(\s*target\b|)"
      R"(\b(__x86_64__|__i386__|__AVX\w*__|__SSE\w*__|__aarch64__|__ARM_\w+)\b)"};
  static const std::regex flag{R"(-m(arch|tune|cpu|avx|sse|fma|f16c|prefer-vector-width)\w*)"};
  const bool cmake = ends_with(source.path, "CMakeLists.txt") || ends_with(source.path, ".cmake");
  Violations found;
  if (cmake ? source.path == "runtime/ops/CMakeLists.txt"
            : !is_source(source.path) || source.path.starts_with("runtime/ops/cpu/paths/") ||
                  source.path.starts_with("tests/architecture/"))
    return found;
  const std::vector<std::string> lines = lines_of(source.text);
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (std::smatch match; std::regex_search(lines[i], match, cmake ? flag : code))
      found.push_back(
          at(source, i + 1, "belongs to runtime/ops/cpu/paths/, for one family of processors alone: " + match.str()));
  return found;
}

Violations second_composition_root(const Source& source, const std::vector<std::string>& present) {
  if (source.path == "launcher/assemble.cpp" || source.path.starts_with("tests/") || present.size() < 2) return {};
  Names known;
  for (const Include& include : includes_of(source))
    if (const std::string folder = part(include.name, 0);
        include.quoted && features.contains(folder) && include.name != folder + "/config.h")
      known.insert(folder);
  if (known.size() < present.size()) return {};
  return {at(source, 1, "knows every feature; only launcher/assemble.cpp may")};
}

Violations too_long(const Source& source) {
  if (!is_source(source.path) && !ends_with(source.path, ".py") && !ends_with(source.path, ".sh")) return {};
  const std::size_t limit = is_header(source.path) ? 400 : 600;
  const std::size_t lines = lines_of(source.text).size();
  if (lines <= limit) return {};
  return {at(source, lines, "more than " + std::to_string(limit) + " lines: it holds more than one idea")};
}

Violations unguarded_headers(const Source& source) {
  if (!is_header(source.path) || source.text.find("#pragma once") != std::string::npos) return {};
  return {at(source, 1, "a header without #pragma once")};
}

Violations own_header_late(const Source& source, const std::set<std::string>& present) {
  if (!ends_with(source.path, ".cpp")) return {};
  const std::string own = source.path.substr(0, source.path.size() - 4) + ".h";
  const std::vector<Include> includes = includes_of(source);
  if (!present.contains(own) || (!includes.empty() && includes.front().quoted && includes.front().name == own))
    return {};
  return {at(source, includes.empty() ? 1 : includes.front().line,
             "its own header, " + own + ", is not what it includes first")};
}

Violations machine_paths(const Source& source) {
  // In pieces, so that this file does not violate itself.
  static const std::regex path{
      "/("
      "work/(main|shared)|"
      "tmp/"
      "wt/|"
      "home/"
      "\\w|"
      "root/"
      ")"};
  Violations found;
  const std::vector<std::string> lines = lines_of(source.text);
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (std::smatch match; std::regex_search(lines[i], match, path))
      found.push_back(at(source, i + 1, "a path of one machine: " + match.str()));
  return found;
}

Violations unknown_folders(const std::vector<std::string>& names) {
  Violations found;
  for (const std::string& name : names)
    if (!name.starts_with('.') && !folders.contains(name)) found.push_back(name + "/: the design has no such folder");
  return found;
}

}  // namespace tranche::architecture
