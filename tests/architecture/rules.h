// The rules of docs/architecture.md that can be read off the sources' text. Each function returns one line
// "path:line: what is wrong" per violation, and nothing for a file in order.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace tranche::architecture {

struct Source {
  std::string path;  // from the root, with forward slashes: "runtime/base/error.h"
  std::string text;
};

using Violations = std::vector<std::string>;

// Features know runtime and themselves; runtime knows no folder beside it; rooms of runtime follow the order of
// docs/architecture.md; nothing but tests/ includes tests/. Quoted includes are written from the root.
Violations wrong_arrows(const Source& source);

// The DEPENDS of a tranche_room() in a CMakeLists.txt, held to the same arrows.
Violations wrong_link_lines(const Source& source);

// A third-party header outside the room that owns it.
Violations foreign_headers(const Source& source);

// What compiles for one family of processors alone, outside runtime/ops/cpu/paths/: its headers, intrinsics, vector
// types, assembly, and compiler flags that name its instructions (those belong to runtime/ops/CMakeLists.txt).
Violations processor_code(const Source& source);

// A file that includes every one of `features` and is not launcher/assemble.cpp. Their keys in the job file
// (FEATURE/config.h) do not count: the job file is made of them.
Violations second_composition_root(const Source& source, const std::vector<std::string>& features);

// More than 400 lines in a header, more than 600 in any other source.
Violations too_long(const Source& source);

// A header that could be included twice.
Violations unguarded_headers(const Source& source);

// A .cpp beside a header of its name, among the paths `present`, that includes another header before it, or not that
// one: so each such header compiles alone.
Violations own_header_late(const Source& source, const std::set<std::string>& present);

// A path of the machine on which something was written.
Violations machine_paths(const Source& source);

// Top-level folders the design does not have. Hidden ones are free.
Violations unknown_folders(const std::vector<std::string>& top_level_folders);

// Every text file below `root`, without hidden folders at the top, build trees, and what .gitignore names at the top.
std::vector<Source> read_tree(const std::string& root);

// The folders at the top of `root`, without those that .gitignore names.
std::vector<std::string> top_level_folders(const std::string& root);

}  // namespace tranche::architecture
