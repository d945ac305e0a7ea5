#include "runtime/hdf5/version.h"

#include "runtime/hdf5/library.h"

namespace tranche::hdf5 {

std::string library_version() {
  const Turn turn;
  unsigned major = 0, minor = 0, release = 0;
  expect(Exit::internal, H5get_libversion(&major, &minor, &release) >= 0, "HDF5 does not say its version");
#ifdef H5_HAVE_PARALLEL
  constexpr const char* build = "parallel";
#else
  constexpr const char* build = "serial";
#endif
  return str(major, ".", minor, ".", release, ", ", build);
}

}  // namespace tranche::hdf5
