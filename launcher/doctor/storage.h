// What a folder gives to runs that are saved in it. Nothing stays behind in it, however these end. Throw Exit::storage
// where something does not work there.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "launcher/doctor/finding.h"

namespace tranche::doctor {

struct Room {
  std::filesystem::path folder;
  std::size_t free = 0;    // bytes
  bool in_memory = false;  // a tmpfs
};
Finding judge_room(const Room& room);
Finding see_folder(const std::filesystem::path& folder);

// Bytes a second, of a file written and made durable (fsync) in order, and read again from the disk.
struct DiskRates {
  std::size_t bytes = 0;  // of the file
  double write = 0, read = 0;
};
Finding judge_disk(const DiskRates& rates);
// At most 256 MiB, and less where that would take more than some seconds or more than half of what is free.
Finding see_disk(const std::filesystem::path& folder);

// takes_locks: whether the folder's file system does (flock). setting: of HDF5_USE_FILE_LOCKING, or "".
Finding judge_locks(bool takes_locks, const std::string& setting);
Finding see_hdf5(const std::filesystem::path& folder);

}  // namespace tranche::doctor
