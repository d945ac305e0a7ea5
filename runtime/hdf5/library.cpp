#include "runtime/hdf5/library.h"

#include "runtime/hdf5/driver.h"

namespace tranche::hdf5 {
namespace {

std::recursive_mutex& library() {
  static std::recursive_mutex mutex;
  return mutex;
}

}  // namespace

Turn::Turn() : lock_(library()) {
  H5open();
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // a thread-safe build keeps this per thread
}

std::string reason() {
  std::string text = "unknown error";
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned depth, const H5E_error2_t* error, void* into) -> herr_t {
        if (depth == 0 && error->desc != nullptr) *static_cast<std::string*>(into) = error->desc;
        return 0;
      },
      &text);
  return text;
}

void throw_disk_failure(bool call_failed) {
  if (const std::optional<Error> failure = driver::take_failure(call_failed)) throw *failure;
}

}  // namespace tranche::hdf5
