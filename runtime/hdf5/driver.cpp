#include "runtime/hdf5/driver.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "runtime/base/file.h"

namespace tranche::hdf5::driver {
namespace {

std::optional<Error> failure, failure_to_open;
bool durable_on_close = false;

void keep(std::optional<Error>& place, const std::exception& error) {
  if (place) return;
  const auto* ours = dynamic_cast<const Error*>(&error);
  place = ours != nullptr ? *ours : Error{Exit::internal, error.what()};
}

// A file as HDF5 sees it. Its "end of allocation" is how far HDF5 uses it; its "end of file" is how far bytes exist.
struct Driven : H5FD_t {
  explicit Driven(tranche::File opened, bool writes) : H5FD_t{}, file(std::move(opened)), writable(writes) {
    end_of_file = file.size();
    struct stat status {};
    if (::stat(file.path().c_str(), &status) == 0) identity = {status.st_dev, status.st_ino};
  }
  tranche::File file;
  bool writable, failed = false;
  haddr_t end_of_allocation = 0, end_of_file = 0;
  std::pair<dev_t, ino_t> identity{};
};

Driven& driven(H5FD_t* file) { return *static_cast<Driven*>(file); }
const Driven& driven(const H5FD_t* file) { return *static_cast<const Driven*>(file); }

// Runs `change` unless an earlier one failed; keeps what it throws.
template <class Change> void attempt(Driven& file, Change change) {
  if (file.failed) return;
  try {
    change();
  } catch (const std::exception& error) {
    keep(failure, error);
    file.failed = true;
  }
}

// Failing to open may be fine: creating a file begins with an attempt to open one that is there, and a virtual dataset
// does without a missing source. It counts if HDF5's own call fails in the end; then the last attempt is the reason.
H5FD_t* open(const char* name, unsigned flags, hid_t, haddr_t) {
  failure_to_open.reset();
  try {
    const bool writable = (flags & H5F_ACC_RDWR) != 0;
    tranche::File file = (flags & H5F_ACC_TRUNC) != 0 ? tranche::File::create(name)
                         : writable                   ? tranche::File::open_to_write(name)
                                                      : tranche::File::open(name);
    return new Driven{std::move(file), writable};
  } catch (const std::exception& error) {
    keep(failure_to_open, error);
    return nullptr;
  }
}

herr_t close(H5FD_t* handle) {
  const std::unique_ptr<Driven> file{&driven(handle)};
  if (file->writable && durable_on_close)
    attempt(*file, [&] {
      file->file.sync();
      file->file.close();
    });
  return 0;
}

int compare(const H5FD_t* a, const H5FD_t* b) {
  return driven(a).identity < driven(b).identity ? -1 : driven(b).identity < driven(a).identity ? 1 : 0;
}

herr_t query(const H5FD_t*, unsigned long* flags) {
  if (flags != nullptr)
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

haddr_t end_of_allocation(const H5FD_t* file, H5FD_mem_t) { return driven(file).end_of_allocation; }
herr_t set_end_of_allocation(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  driven(file).end_of_allocation = address;
  return 0;
}
haddr_t end_of_file(const H5FD_t* file, H5FD_mem_t) { return driven(file).end_of_file; }

// Bytes that are allocated but were never written read as zeros.
herr_t read(H5FD_t* handle, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, void* buffer) {
  const Driven& file = driven(handle);
  const std::span<std::byte> bytes{static_cast<std::byte*>(buffer), size};
  const std::size_t there =
      address >= file.end_of_file ? 0 : static_cast<std::size_t>(std::min<haddr_t>(size, file.end_of_file - address));
  try {
    file.file.read(address, bytes.first(there));
  } catch (const std::exception& error) {
    keep(failure, error);
    return -1;
  }
  std::ranges::fill(bytes.subspan(there), std::byte{0});
  return 0;
}

herr_t write(H5FD_t* handle, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, const void* buffer) {
  Driven& file = driven(handle);
  attempt(file, [&] { file.file.write(address, {static_cast<const std::byte*>(buffer), size}); });
  file.end_of_file = std::max(file.end_of_file, address + size);
  return 0;
}

herr_t truncate(H5FD_t* handle, hid_t, hbool_t) {
  Driven& file = driven(handle);
  if (file.writable && file.end_of_allocation != file.end_of_file) {
    attempt(file, [&] { file.file.truncate(file.end_of_allocation); });
    file.end_of_file = file.end_of_allocation;
  }
  return 0;
}

hid_t register_driver() {
  static const H5FD_class_t description = [] {
    H5FD_class_t made{};
    made.name = "tranche";
    made.maxaddr = haddr_t{INT64_MAX};
    made.fc_degree = H5F_CLOSE_STRONG;
    made.open = open;
    made.close = close;
    made.cmp = compare;
    made.query = query;
    made.get_eoa = end_of_allocation;
    made.set_eoa = set_end_of_allocation;
    made.get_eof = end_of_file;
    made.read = read;
    made.write = write;
    made.truncate = truncate;
    const H5FD_mem_t kinds[] = H5FD_FLMAP_DICHOTOMY;  // raw values and structure are allocated apart
    std::ranges::copy(kinds, made.fl_map);
    return made;
  }();
  return H5FDregister(&description);
}

}  // namespace

hid_t id() {
  static const hid_t registered = register_driver();
  check(registered >= 0, "HDF5 refused our file driver");
  return registered;
}

std::optional<Error> take_failure(bool call_failed) {
  const std::optional<Error> to_open = std::exchange(failure_to_open, std::nullopt);
  const std::optional<Error> other = std::exchange(failure, std::nullopt);
  return other ? other : call_failed ? to_open : std::nullopt;
}
void make_durable_on_close(bool durable) { durable_on_close = durable; }

}  // namespace tranche::hdf5::driver
