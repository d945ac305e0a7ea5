// The library's lock, its handles and its errors, for the files of this room.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

#include "runtime/base/error.h"

namespace tranche::hdf5 {

// Holds the library: one thread at a time, its own error printing off. The lock may be taken again by its holder.
class Turn {
 public:
  Turn();

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

// What the library says went wrong in this thread's last call, the most specific part.
std::string reason();

// Throws what the disk said, if it said something.
void throw_disk_failure(bool call_failed);
// The same; then, unless `good`, throws an Error with this exit. `what` names what failed, and the file.
template <class... What> void expect(Exit exit, bool good, const What&... what) {
  throw_disk_failure(!good);
  if (!good) [[unlikely]]
    fail(exit, str(what..., ": ", reason()));
}

// An id of the library's, closed at the end of its scope.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  hid_t id() const { return id_; }
  bool good() const { return id_ >= 0; }

 private:
  hid_t id_;
  Close close_;
};

}  // namespace tranche::hdf5
