#include <array>

#include "runtime/hdf5/open_file.h"

namespace tranche::hdf5 {
namespace {

constexpr std::size_t kinds = 10;

// A 16-bit float: sign in bit 15, then `exponent` bits, then the mantissa; the library converts it like any other.
hid_t half_float(std::size_t exponent, std::size_t mantissa, std::size_t bias) {
  const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  check(type >= 0 && H5Tset_fields(type, 15, mantissa, exponent, 0, mantissa) >= 0 && H5Tset_size(type, 2) >= 0 &&
            H5Tset_ebias(type, bias) >= 0 && H5Tset_order(type, H5Tget_order(H5T_NATIVE_FLOAT)) >= 0,
        "HDF5 refused a 16-bit floating point type");
  return type;
}

const std::array<hid_t, kinds>& type_ids() {
  static const std::array<hid_t, kinds> ids = {
      H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, half_float(8, 7, 127), half_float(5, 10, 15), H5T_NATIVE_INT32,
      H5T_NATIVE_INT64, H5T_NATIVE_UINT8,  H5T_NATIVE_UINT16,     H5T_NATIVE_UINT32,     H5T_NATIVE_UINT64};
  return ids;
}

}  // namespace

std::string_view name_of(Type type) {
  constexpr std::array<std::string_view, kinds> names = {"float32", "float64", "bfloat16", "float16", "int32",
                                                         "int64",   "uint8",   "uint16",   "uint32",  "uint64"};
  return names[static_cast<std::size_t>(type)];
}

std::size_t bytes_of(Type type) {
  constexpr std::array<std::size_t, kinds> sizes = {4, 8, 2, 2, 4, 8, 1, 2, 4, 8};
  return sizes[static_cast<std::size_t>(type)];
}

hid_t type_id(Type type) { return type_ids()[static_cast<std::size_t>(type)]; }

std::optional<Type> type_of_id(hid_t type) {
  for (std::size_t i = 0; i < kinds; ++i)
    if (H5Tequal(type, type_ids()[i]) > 0) return static_cast<Type>(i);
  return std::nullopt;
}

}  // namespace tranche::hdf5
