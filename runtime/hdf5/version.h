// Which HDF5 library files are written by.
#pragma once

#include <string>

namespace tranche::hdf5 {

std::string library_version();  // "1.10.8, serial": of the library that is loaded, and how it was built

}  // namespace tranche::hdf5
