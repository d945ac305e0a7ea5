#include "runtime/hdf5/kind.h"

#include "runtime/base/file.h"

namespace tranche::hdf5 {

File open_file(const std::filesystem::path& path, const FileKind& kind) {
  std::error_code error;
  ensure(kind.exit, std::filesystem::exists(path, error), path.string(), ": there is no such ", kind.name, "; `",
         kind.maker, "` makes one");
  ensure(kind.exit, !std::filesystem::is_directory(path, error), path.string(), ": a folder, not a ", kind.name);
  File file = File::open(path, kind.exit);
  ensure(kind.exit, file.has_attribute("format") && file.text_attribute("format") == kind.format, path.string(),
         ": this HDF5 file is not a ", kind.name, "; `", kind.maker, "` makes one");
  const std::int64_t found = file.integer_attribute("version");
  ensure(kind.exit, found == kind.version, path.string(), ": a ", kind.name, " of version ", found,
         "; this program reads version ", kind.version);
  return file;
}

void finish_file(File& file, const FileKind& kind, const std::filesystem::path& partial,
                 const std::filesystem::path& path) {
  file.set_attribute("version", kind.version);
  file.set_attribute("format", std::string{kind.format});
  file.close();
  rename_path(partial, path);
  sync_folder(path.has_parent_path() ? path.parent_path() : ".");
}

}  // namespace tranche::hdf5
