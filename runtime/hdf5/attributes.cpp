#include <algorithm>

#include "runtime/hdf5/open_file.h"

namespace tranche::hdf5 {
namespace {

// Fixed length, so that the text lies in the object's header, which carries a checksum. HDF5 has no text of no bytes.
Handle text_type(std::size_t bytes) {
  Handle type{H5Tcopy(H5T_C_S1), H5Tclose};
  check(type.good() && H5Tset_size(type.id(), std::max<std::size_t>(bytes, 1)) >= 0 &&
            H5Tset_strpad(type.id(), H5T_STR_NULLPAD) >= 0 && H5Tset_cset(type.id(), H5T_CSET_UTF8) >= 0,
        "HDF5 refused a text type of ", bytes, " bytes");
  return type;
}

void write_scalar(hid_t object, const std::string& name, hid_t type, const void* value, const std::string& where) {
  const Handle space{H5Screate(H5S_SCALAR), H5Sclose};
  if (attribute_exists(object, name)) H5Adelete(object, name.c_str());
  const Handle attribute{H5Acreate2(object, name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose};
  expect(Exit::storage, attribute.good() && H5Awrite(attribute.id(), type, value) >= 0, "cannot write the attribute ",
         name, " of ", where);
}

// A single value of the wanted class, of any size.
Handle open_scalar(hid_t object, const std::string& name, const std::string& where, Exit damaged) {
  Handle attribute{attribute_exists(object, name) ? H5Aopen(object, name.c_str(), H5P_DEFAULT) : -1, H5Aclose};
  throw_disk_failure(!attribute.good());
  ensure(damaged, attribute.good(), where, " has no attribute ", name);
  const Handle space{H5Aget_space(attribute.id()), H5Sclose};
  ensure(damaged, H5Sget_simple_extent_npoints(space.id()) == 1, "attribute ", name, " of ", where,
         " is not a single value");
  return attribute;
}

template <class T>
T read_number(hid_t object, const std::string& name, H5T_class_t wanted, hid_t memory, const std::string& where,
              Exit damaged) {
  const Handle attribute = open_scalar(object, name, where, damaged);
  const Handle type{H5Aget_type(attribute.id()), H5Tclose};
  ensure(damaged, H5Tget_class(type.id()) == wanted, "attribute ", name, " of ", where, " is not ",
         wanted == H5T_INTEGER ? "an integer" : "a real number");
  T value{};
  expect(damaged, H5Aread(attribute.id(), memory, &value) >= 0, "cannot read attribute ", name, " of ", where);
  return value;
}

}  // namespace

void write_attribute(hid_t object, const std::string& name, const std::string& value, const std::string& where) {
  const Handle type = text_type(value.size());
  write_scalar(object, name, type.id(), value.empty() ? "" : value.data(), where);
}
void write_attribute(hid_t object, const std::string& name, std::int64_t value, const std::string& where) {
  write_scalar(object, name, H5T_NATIVE_INT64, &value, where);
}
void write_attribute(hid_t object, const std::string& name, double value, const std::string& where) {
  write_scalar(object, name, H5T_NATIVE_DOUBLE, &value, where);
}

std::string read_text(hid_t object, const std::string& name, const std::string& where, Exit damaged) {
  const Handle attribute = open_scalar(object, name, where, damaged);
  const Handle type{H5Aget_type(attribute.id()), H5Tclose};
  ensure(damaged, H5Tget_class(type.id()) == H5T_STRING && H5Tis_variable_str(type.id()) == 0, "attribute ", name,
         " of ", where, " is not a text of fixed length");
  std::string text(H5Tget_size(type.id()), '\0');
  expect(damaged, H5Aread(attribute.id(), type.id(), text.data()) >= 0, "cannot read attribute ", name, " of ", where);
  text.resize(text.find_last_not_of('\0') + 1);  // the padding
  return text;
}
std::int64_t read_integer(hid_t object, const std::string& name, const std::string& where, Exit damaged) {
  return read_number<std::int64_t>(object, name, H5T_INTEGER, H5T_NATIVE_INT64, where, damaged);
}
double read_real(hid_t object, const std::string& name, const std::string& where, Exit damaged) {
  return read_number<double>(object, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, where, damaged);
}

bool attribute_exists(hid_t object, const std::string& name) { return H5Aexists(object, name.c_str()) > 0; }

}  // namespace tranche::hdf5
