#include "launcher/doctor/storage.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "launcher/doctor/stopped.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/device/ledger.h"
#include "runtime/hdf5/file.h"
#include "runtime/hdf5/version.h"

namespace tranche::doctor {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t piece = 4 * mebibyte, between_syncs = 32 * mebibyte, longest = 256 * mebibyte;
constexpr double most_seconds = 3;  // of writing, and of reading; then what was done until then counts

// A name in the folder that is free again at the end.
class Name {
 public:
  Name(const fs::path& folder, const char* ending) : path_(folder / str(".tranche-doctor-", ::getpid(), ending)) {}
  ~Name() {
    std::error_code error;
    fs::remove(path_, error);
  }
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// For calls that File has not.
class Descriptor {
 public:
  explicit Descriptor(const fs::path& path) : number_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    ensure(Exit::storage, number_ >= 0, path.string(), " cannot be opened again");
  }
  ~Descriptor() { ::close(number_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

Room room_of(const fs::path& folder) {
  struct statfs system {};
  ensure(Exit::storage, ::statfs(folder.c_str(), &system) == 0, folder.string(), " cannot be looked at");
  return {.folder = fs::absolute(folder).lexically_normal(),
          .free = static_cast<std::size_t>(system.f_bavail) * static_cast<std::size_t>(system.f_bsize),
          .in_memory = system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC};
}

std::vector<std::byte> incompressible(std::size_t bytes) {
  std::vector<std::byte> data(bytes);
  std::mt19937_64 random{1};
  std::ranges::generate(data, [&] { return static_cast<std::byte>(random()); });
  return data;
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Bytes written and seconds until the last of them was durable.
std::pair<std::size_t, double> write_durably(File& file, std::size_t most, const std::vector<std::byte>& data) {
  const Clock::time_point begin = Clock::now();
  std::size_t written = 0;
  while (written < most && seconds_since(begin) < most_seconds) {
    for (const std::size_t until = std::min(most, written + between_syncs); written < until; written += piece)
      file.write(written, data);
    file.sync();
    end_if_stopped();
  }
  return {written, seconds_since(begin)};
}

double read_rate(const File& file, std::size_t bytes, const std::vector<std::byte>& data) {
  std::vector<std::byte> found(piece);
  const Clock::time_point begin = Clock::now();
  std::size_t read = 0;
  for (; read < bytes && seconds_since(begin) < most_seconds; read += piece) {
    file.read(read, found);
    ensure(Exit::storage, found == data, file.path().string(), " reads other bytes than were written to it");
    end_if_stopped();
  }
  return static_cast<double>(read) / seconds_since(begin);
}

}  // namespace

Finding judge_room(const Room& room) {
  constexpr std::size_t little = 1024 * mebibyte;
  Finding finding{str(room.folder.string(), " can be written; ", in_units(room.free), " free")};
  if (room.free < little)
    advise(finding, str("a checkpoint takes 12 bytes a parameter, and two are there while one is saved: free some "
                        "space, or name another --folder"));
  if (room.in_memory)
    advise(finding,
           "it lies in memory (tmpfs): runs there take memory of the ranks, and are lost with the machine; "
           "name a --folder on a disk");
  return finding;
}

Finding see_folder(const fs::path& folder) {
  const Name name{folder, ""}, partial{folder, ".partial"};
  write_small_file(name.path(), "whether this can be written");
  return judge_room(room_of(folder));
}

Finding judge_disk(const DiskRates& rates) {
  if (rates.bytes == 0) return {"too little is free to measure it", "free some space, or name another --folder"};
  constexpr double slow = 100e6;
  constexpr double checkpoint = 12e9;
  Finding finding{
      str(rate_text(rates.write), " written with fsync, ", rate_text(rates.read), " read, of ", in_units(rates.bytes))};
  if (rates.write < slow)
    advise(finding,
           str("to save a billion parameters (12 GB) takes ", static_cast<std::size_t>(checkpoint / rates.write),
               " s there: name a --folder on a quicker disk, or save beside training (checkpoint.asynchronous=true)"));
  if (rates.read < slow)
    advise(finding, "data is read and runs are resumed at that rate: keep token files and runs on a quicker disk");
  return finding;
}

Finding see_disk(const fs::path& folder) {
  const std::size_t most = std::min(longest, room_of(folder).free / 2 / piece * piece);
  if (most == 0) return judge_disk({});
  const Name name{folder, ".disk"};
  File file = File::create(name.path());
  const Descriptor same{name.path()};
  remove_file(name.path());  // an open file needs none: it is gone with this process, even if that is killed
  const std::vector<std::byte> data = incompressible(piece);
  const auto [written, seconds] = write_durably(file, most, data);
  ::posix_fadvise(same.number(), 0, 0, POSIX_FADV_DONTNEED);  // so that it is read from the disk
  return judge_disk(
      {.bytes = written, .write = static_cast<double>(written) / seconds, .read = read_rate(file, written, data)});
}

Finding judge_locks(bool takes_locks, const std::string& setting) {
  const bool asked = setting != "FALSE" && setting != "0";
  if (!asked) return {"HDF5_USE_FILE_LOCKING=" + setting + ", so that nobody asks for locks"};
  if (takes_locks) return {"files can be locked there"};
  return {"files cannot be locked there",
          "training locks none, but h5py and other programs of HDF5 will refuse these files: export "
          "HDF5_USE_FILE_LOCKING=FALSE for them"};
}

Finding see_hdf5(const fs::path& folder) {
  std::vector<std::uint16_t> values(1000), found(values.size());
  std::iota(values.begin(), values.end(), std::uint16_t{0});
  const Name name{folder, ".h5"};
  hdf5::File written = hdf5::File::create(name.path());
  hdf5::Dataset dataset = written.create_dataset("values", hdf5::Type::uint16, {values.size()});
  dataset.write<std::uint16_t>(0, values);
  written.close();
  hdf5::File file = hdf5::File::open(name.path(), Exit::storage);
  file.dataset("values").read<std::uint16_t>(0, found);
  ensure(Exit::storage, found == values, name.path().string(), " holds other values than were written to it");
  file.close();
  const Descriptor descriptor{name.path()};
  const bool takes_locks = ::flock(descriptor.number(), LOCK_EX | LOCK_NB) == 0;
  const char* const setting = std::getenv("HDF5_USE_FILE_LOCKING");
  Finding finding = judge_locks(takes_locks, setting == nullptr ? "" : setting);
  finding.text = str(hdf5::library_version(), "; a file was written and read; ", finding.text);
  return finding;
}

}  // namespace tranche::doctor
