// How HDF5 reaches the disk: a virtual file driver ("VFD", H5FDpublic.h) on top of runtime/base/file.h, so that every
// byte HDF5 writes passes the hook of the I/O layer.
//
// HDF5 is never told that a write failed: its caches do not survive that (closing would fail again and again). The
// first failure is kept, later writes to that file are dropped, and whoever called HDF5 asks for the failure
// afterwards. Used under the library's lock only.
#pragma once

#include <hdf5.h>

#include <optional>

#include "runtime/base/error.h"

namespace tranche::hdf5::driver {

hid_t id();                                // registered on the first call
void make_durable_on_close(bool durable);  // whether closing a written file syncs it

// What the disk said since this was last asked; `call_failed` is whether HDF5's call failed.
std::optional<Error> take_failure(bool call_failed);

}  // namespace tranche::hdf5::driver
