#include <algorithm>

#include "runtime/hdf5/open_file.h"

namespace tranche::hdf5 {
namespace {

// The part `box` of the array's space, and a plain space of as many elements for memory.
struct Selection {
  Handle stored, memory;
};
Selection select(hid_t dataset, const Box& box, std::size_t count, Exit exit, const std::string& where) {
  Selection selection{{H5Dget_space(dataset), H5Sclose}, {-1, H5Sclose}};
  Extent extent(static_cast<std::size_t>(std::max(H5Sget_simple_extent_ndims(selection.stored.id()), 0)));
  H5Sget_simple_extent_dims(selection.stored.id(), reinterpret_cast<hsize_t*>(extent.data()), nullptr);
  check(box.first.size() == extent.size() && box.count.size() == extent.size(), where, " has ", extent.size(),
        " dimensions, a part of it with ", box.count.size(), " was asked for");
  check(box.size() == count, "a part of ", where, " has ", box.size(), " elements, memory ", count);
  for (std::size_t d = 0; d < extent.size(); ++d)
    ensure(exit, box.first[d] <= extent[d] && box.count[d] <= extent[d] - box.first[d], where, " has ", extent[d],
           " elements in dimension ", d, ", too few for ", box.count[d], " from ", box.first[d]);
  const hsize_t elements = count;
  selection.memory = Handle{H5Screate_simple(1, &elements, nullptr), H5Sclose};
  check(H5Sselect_hyperslab(selection.stored.id(), H5S_SELECT_SET, reinterpret_cast<const hsize_t*>(box.first.data()),
                            nullptr, reinterpret_cast<const hsize_t*>(box.count.data()), nullptr) >= 0,
        where, ": the library refused a selection");
  return selection;
}

static_assert(sizeof(hsize_t) == sizeof(std::uint64_t));

}  // namespace

std::uint64_t Box::size() const {
  std::uint64_t product = 1;
  for (const std::uint64_t each : count) product *= each;
  return product;
}

Dataset::Dataset(std::shared_ptr<detail::OpenFile> file, std::string name, std::int64_t id)
    : file_(std::move(file)), name_(std::move(name)), id_(new std::int64_t{id}, [](const std::int64_t* owned) {
        const Turn turn;
        if (H5Iis_valid(*owned) > 0) H5Dclose(*owned);  // closing the file has closed it too
        delete owned;
      }) {
  const Handle type{H5Dget_type(id), H5Tclose};
  const std::optional<Type> known = type_of_id(type.id());
  ensure(file_->damaged, known.has_value(), where(), " has a type that is not one of ours");
  type_ = *known;
}

std::string Dataset::where() const { return str("dataset ", name_, " of ", file_->path.string()); }

Extent Dataset::extent() const {
  const Turn turn;
  const Handle space{H5Dget_space(*id_), H5Sclose};
  const int dimensions = H5Sget_simple_extent_ndims(space.id());
  expect(file_->damaged, dimensions >= 0, "cannot read the size of ", where());
  Extent extent(static_cast<std::size_t>(dimensions));
  H5Sget_simple_extent_dims(space.id(), reinterpret_cast<hsize_t*>(extent.data()), nullptr);
  return extent;
}

std::uint64_t Dataset::size() const { return Box{{}, extent()}.size(); }

std::uint64_t Dataset::place() const {
  const Turn turn;
  const haddr_t address = H5Dget_offset(*id_);
  expect(file_->damaged, address != HADDR_UNDEF, where(), " is not in one piece");
  return address;
}

void Dataset::read_box(Type type, const Box& box, void* values, std::size_t count) const {
  const Turn turn;
  ensure(file_->damaged, type == type_, where(), " holds ", name_of(type_), ", not ", name_of(type));
  if (count == 0) return;
  const Selection part = select(*id_, box, count, file_->damaged, where());
  expect(file_->damaged, H5Dread(*id_, type_id(type), part.memory.id(), part.stored.id(), H5P_DEFAULT, values) >= 0,
         "cannot read ", where());
}

void Dataset::write_box(Type type, const Box& box, const void* values, std::size_t count) {
  const Turn turn;
  check(type == type_, where(), " holds ", name_of(type_), ", not ", name_of(type));
  if (count == 0) return;
  const Selection part = select(*id_, box, count, Exit::internal, where());
  expect(Exit::storage, H5Dwrite(*id_, type_id(type), part.memory.id(), part.stored.id(), H5P_DEFAULT, values) >= 0,
         "cannot write ", where());
}

void Dataset::append_values(Type type, const void* values, std::size_t count) {
  const Turn turn;
  const Extent before = extent();
  check(before.size() == 1, where(), " is not an array to append to");
  const hsize_t after = before[0] + count;
  expect(Exit::storage, H5Dset_extent(*id_, &after) >= 0, "cannot lengthen ", where());
  write_box(type, {before, {count}}, values, count);
}

void Dataset::set_attribute(const std::string& name, const std::string& value) {
  const Turn turn;
  write_attribute(*id_, name, value, where());
}
void Dataset::set_attribute(const std::string& name, std::int64_t value) {
  const Turn turn;
  write_attribute(*id_, name, value, where());
}
void Dataset::set_attribute(const std::string& name, double value) {
  const Turn turn;
  write_attribute(*id_, name, value, where());
}
std::string Dataset::text_attribute(const std::string& name) const {
  const Turn turn;
  return read_text(*id_, name, where(), file_->damaged);
}
std::int64_t Dataset::integer_attribute(const std::string& name) const {
  const Turn turn;
  return read_integer(*id_, name, where(), file_->damaged);
}
double Dataset::real_attribute(const std::string& name) const {
  const Turn turn;
  return read_real(*id_, name, where(), file_->damaged);
}
bool Dataset::has_attribute(const std::string& name) const {
  const Turn turn;
  return attribute_exists(*id_, name);
}

}  // namespace tranche::hdf5
