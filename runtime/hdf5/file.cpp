#include "runtime/hdf5/file.h"

#include <algorithm>
#include <limits>

#include "runtime/hdf5/driver.h"
#include "runtime/hdf5/open_file.h"

namespace tranche::hdf5 {
namespace {

constexpr std::uint64_t chunk_bytes = std::uint64_t{1} << 20;
constexpr std::size_t chunk_cache_bytes = std::size_t{8} << 20;

Handle file_access() {
  Handle access{H5Pcreate(H5P_FILE_ACCESS), H5Pclose};
  check(access.good() && H5Pset_driver(access.id(), driver::id(), nullptr) >= 0 &&
            H5Pset_libver_bounds(access.id(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST) >= 0 &&  // checksummed structure
            H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG) >= 0 && H5Pset_meta_block_size(access.id(), 65536) >= 0,
        "HDF5 refused the settings of a file");
  return access;
}

// Without times: the same content is the same bytes.
Handle timeless(hid_t kind) {
  Handle list{H5Pcreate(kind), H5Pclose};
  check(list.good() && H5Pset_obj_track_times(list.id(), false) >= 0, "HDF5 refused to leave out times");
  return list;
}

// About 1 MiB: whole inner dimensions as long as they fit.
Extent default_chunk(Type type, const Extent& extent) {
  std::uint64_t room = chunk_bytes / bytes_of(type);
  Extent chunk(extent.size(), 1);
  for (std::size_t d = extent.size(); d-- > 0 && room > 0; room /= chunk[d])
    chunk[d] = std::clamp<std::uint64_t>(extent[d], 1, room);
  return chunk;
}

void create_groups(hid_t file, const std::string& name, const std::string& where) {
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const std::string group = name.substr(0, slash);
    if (H5Lexists(file, group.c_str(), H5P_DEFAULT) > 0) continue;
    const Handle properties = timeless(H5P_GROUP_CREATE);
    const Handle made{H5Gcreate2(file, group.c_str(), H5P_DEFAULT, properties.id(), H5P_DEFAULT), H5Gclose};
    expect(Exit::storage, made.good(), "cannot create the group ", group, " in ", where);
  }
}

const hsize_t* sizes(const Extent& extent) { return reinterpret_cast<const hsize_t*>(extent.data()); }

Handle chunk_cache() {
  Handle access{H5Pcreate(H5P_DATASET_ACCESS), H5Pclose};
  check(access.good() && H5Pset_chunk_cache(access.id(), 521, chunk_cache_bytes, 1.0) >= 0,
        "HDF5 refused the size of a cache");
  return access;
}

hid_t create_array(detail::OpenFile& file, const std::string& name, Type type, hid_t space, hid_t properties) {
  create_groups(file.id, name, file.path.string());
  const Handle access = chunk_cache();
  const hid_t id = H5Dcreate2(file.id, name.c_str(), type_id(type), space, H5P_DEFAULT, properties, access.id());
  expect(Exit::storage, id >= 0, "cannot create the dataset ", name, " in ", file.path.string());
  return id;
}

hid_t create_chunked(detail::OpenFile& file, const std::string& name, Type type, const Extent& extent,
                     const hsize_t* most, const Extent& chunk) {
  const Handle space{H5Screate_simple(static_cast<int>(extent.size()), sizes(extent), most), H5Sclose};
  const Handle properties = timeless(H5P_DATASET_CREATE);
  check(space.good() && H5Pset_chunk(properties.id(), static_cast<int>(chunk.size()), sizes(chunk)) >= 0 &&
            H5Pset_fletcher32(properties.id()) >= 0,
        "HDF5 refused the layout of the dataset ", name, " in ", file.path.string());
  return create_array(file, name, type, space.id(), properties.id());
}

// Existence, level by level: the library has no single question for it.
bool exists(hid_t file, const std::string& name) {
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
    if (H5Lexists(file, name.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  return H5Lexists(file, name.c_str(), H5P_DEFAULT) > 0;
}

}  // namespace

detail::OpenFile::~OpenFile() {
  const Turn turn;
  if (id < 0) return;
  driver::make_durable_on_close(false);
  H5Fclose(id);
  driver::take_failure(true);
}

File File::create(const std::filesystem::path& path) {
  const Turn turn;
  const Handle access = file_access(), properties = timeless(H5P_FILE_CREATE);
  driver::make_durable_on_close(false);
  auto file = std::make_shared<detail::OpenFile>(path, Exit::storage);
  file->id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, properties.id(), access.id());
  expect(Exit::storage, file->id >= 0, "cannot create ", path.string());
  return File{std::move(file)};
}

File File::open(const std::filesystem::path& path, Exit damaged) {
  const Turn turn;
  const Handle access = file_access();
  auto file = std::make_shared<detail::OpenFile>(path, damaged);
  file->id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id());
  expect(damaged, file->id >= 0, "cannot open ", path.string(), " as an HDF5 file (foreign, truncated or damaged)");
  return File{std::move(file)};
}

void File::close() {
  const Turn turn;
  if (file_->id < 0) return;
  driver::make_durable_on_close(true);
  const herr_t result = H5Fclose(std::exchange(file_->id, -1));
  expect(Exit::storage, result >= 0, "cannot finish ", file_->path.string());
}

Dataset File::create_dataset(const std::string& name, Type type, const Extent& extent, const Extent& chunk) {
  const Turn turn;
  check(!extent.empty() && (chunk.empty() || chunk.size() == extent.size()), "dataset ", name, " has ", extent.size(),
        " dimensions, its chunk ", chunk.size());
  return {file_, name,
          create_chunked(*file_, name, type, extent, nullptr, chunk.empty() ? default_chunk(type, extent) : chunk)};
}

Dataset File::create_appendable(const std::string& name, Type type, std::uint64_t chunk) {
  const Turn turn;
  const hsize_t unlimited = H5S_UNLIMITED;
  return {file_, name, create_chunked(*file_, name, type, {0}, &unlimited, {chunk})};
}

Dataset File::create_contiguous(const std::string& name, Type type, std::uint64_t size) {
  const Turn turn;
  const hsize_t elements = size;
  const Handle space{H5Screate_simple(1, &elements, nullptr), H5Sclose};
  const Handle properties = timeless(H5P_DATASET_CREATE);
  check(space.good() && H5Pset_layout(properties.id(), H5D_CONTIGUOUS) >= 0 &&
            H5Pset_alloc_time(properties.id(), H5D_ALLOC_TIME_EARLY) >= 0 &&  // its place is known at once
            H5Pset_fill_time(properties.id(), H5D_FILL_TIME_NEVER) >= 0,
        "HDF5 refused the layout of the dataset ", name, " in ", file_->path.string());
  return {file_, name, create_array(*file_, name, type, space.id(), properties.id())};
}

void File::create_virtual(const std::string& name, Type type, const Extent& extent,
                          std::span<const VirtualPiece> pieces) {
  const Turn turn;
  check(type == Type::float32 || type == Type::float64, "virtual dataset ", name, ": ", name_of(type), " has no NaN");
  const Handle properties = timeless(H5P_DATASET_CREATE);
  const double hole = std::numeric_limits<double>::quiet_NaN();
  check(H5Pset_fill_value(properties.id(), H5T_NATIVE_DOUBLE, &hole) >= 0, "HDF5 refused NaN as a fill value");
  const auto part_of = [](const Extent& whole, const Box& box) {
    Handle space{H5Screate_simple(static_cast<int>(whole.size()), sizes(whole), nullptr), H5Sclose};
    check(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, sizes(box.first), nullptr, sizes(box.count), nullptr) >= 0,
          "HDF5 refused a selection of a virtual dataset");
    return space;
  };
  for (const VirtualPiece& piece : pieces) {
    check(piece.in_whole.size() == piece.in_part.size(), "virtual dataset ", name, ": a piece has ",
          piece.in_whole.size(), " elements, its source ", piece.in_part.size());
    // The library wants the source's extent; one that ends with the selection serves for any longer one.
    Extent reach = piece.in_part.first;
    for (std::size_t d = 0; d < reach.size(); ++d) reach[d] += piece.in_part.count[d];
    const Handle whole = part_of(extent, piece.in_whole), part = part_of(reach, piece.in_part);
    check(H5Pset_virtual(properties.id(), whole.id(), piece.file.c_str(), piece.dataset.c_str(), part.id()) >= 0,
          "HDF5 refused a piece of the virtual dataset ", name);
  }
  const Handle space{H5Screate_simple(static_cast<int>(extent.size()), sizes(extent), nullptr), H5Sclose};
  const Handle dataset{create_array(*file_, name, type, space.id(), properties.id()), H5Dclose};
}

Dataset File::dataset(const std::string& name) const {
  const Turn turn;
  ensure(file_->damaged, exists(file_->id, name), file_->path.string(), " has no dataset ", name);
  const Handle access = chunk_cache();
  const hid_t id = H5Dopen2(file_->id, name.c_str(), access.id());
  expect(file_->damaged, id >= 0, "cannot open the dataset ", name, " of ", file_->path.string());
  return {file_, name, id};
}

bool File::has_dataset(const std::string& name) const {
  const Turn turn;
  return exists(file_->id, name);
}

std::vector<std::string> File::datasets() const {
  const Turn turn;
  std::vector<std::string> names;
  const herr_t result = H5Ovisit2(
      file_->id, H5_INDEX_NAME, H5_ITER_INC,
      [](hid_t, const char* name, const H5O_info_t* info, void* into) -> herr_t {
        if (info->type == H5O_TYPE_DATASET) static_cast<std::vector<std::string>*>(into)->emplace_back(name);
        return 0;
      },
      &names, H5O_INFO_BASIC);
  expect(file_->damaged, result >= 0, "cannot list the datasets of ", file_->path.string());
  std::ranges::sort(names);
  return names;
}

void File::set_attribute(const std::string& name, const std::string& value) {
  const Turn turn;
  write_attribute(file_->id, name, value, file_->path.string());
}
void File::set_attribute(const std::string& name, std::int64_t value) {
  const Turn turn;
  write_attribute(file_->id, name, value, file_->path.string());
}
void File::set_attribute(const std::string& name, double value) {
  const Turn turn;
  write_attribute(file_->id, name, value, file_->path.string());
}
std::string File::text_attribute(const std::string& name) const {
  const Turn turn;
  return read_text(file_->id, name, file_->path.string(), file_->damaged);
}
std::int64_t File::integer_attribute(const std::string& name) const {
  const Turn turn;
  return read_integer(file_->id, name, file_->path.string(), file_->damaged);
}
double File::real_attribute(const std::string& name) const {
  const Turn turn;
  return read_real(file_->id, name, file_->path.string(), file_->damaged);
}
bool File::has_attribute(const std::string& name) const {
  const Turn turn;
  return attribute_exists(file_->id, name);
}
const std::filesystem::path& File::path() const { return file_->path; }

}  // namespace tranche::hdf5
