// Kinds of files that this program writes in one go: what it is stands in the attributes "format" and "version", which
// are written last.
#pragma once

#include <cstdint>
#include <filesystem>

#include "runtime/base/error.h"
#include "runtime/hdf5/file.h"

namespace tranche::hdf5 {

struct FileKind {
  const char* format;    // "tranche tokens"
  std::int64_t version;  // that this program writes and reads
  const char* name;      // "token file"
  const char* maker;     // the command: "tranche tokenize"
  Exit exit;             // where one is missing or wrong
};

// A finished one, to read. Throws kind.exit, naming the file, for what is none, of another kind or of another version.
File open_file(const std::filesystem::path& path, const FileKind& kind);

// Marks `file`, which is `partial`, as finished, closes it and gives it its name; durable on return. Throws
// Exit::storage when the disk refuses.
void finish_file(File& file, const FileKind& kind, const std::filesystem::path& partial,
                 const std::filesystem::path& path);

}  // namespace tranche::hdf5
