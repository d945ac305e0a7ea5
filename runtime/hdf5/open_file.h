// What the sources of this room share: the open file behind File and Dataset, element types, attributes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "runtime/hdf5/file.h"
#include "runtime/hdf5/library.h"

namespace tranche::hdf5 {

namespace detail {
struct OpenFile {
  std::filesystem::path path;
  Exit damaged;   // what bad content, and misuse of a file being written, exits with
  hid_t id = -1;  // -1 once closed
  ~OpenFile();    // lets go without making anything durable
};
}  // namespace detail

hid_t type_id(Type type);                    // never closed; memory and file have the same
std::optional<Type> type_of_id(hid_t type);  // nothing for a type that is not ours

// `object` is a file's or a dataset's id, `where` names it in messages.
void write_attribute(hid_t object, const std::string& name, const std::string& value, const std::string& where);
void write_attribute(hid_t object, const std::string& name, std::int64_t value, const std::string& where);
void write_attribute(hid_t object, const std::string& name, double value, const std::string& where);
std::string read_text(hid_t object, const std::string& name, const std::string& where, Exit damaged);
std::int64_t read_integer(hid_t object, const std::string& name, const std::string& where, Exit damaged);
double read_real(hid_t object, const std::string& name, const std::string& where, Exit damaged);
bool attribute_exists(hid_t object, const std::string& name);

}  // namespace tranche::hdf5
