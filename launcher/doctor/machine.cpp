#include "launcher/doctor/machine.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "runtime/backend/cuda_backend.h"
#include "runtime/base/error.h"
#include "runtime/device/ledger.h"
#include "runtime/device/memory_file.h"
#include "runtime/ops/instruction_path.h"

namespace tranche::doctor {
namespace {

std::size_t machine_memory() {
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Bytes that could be had without swapping; the machine's where the kernel does not say.
std::size_t available_memory() {
  std::ifstream file{"/proc/meminfo"};
  std::string word;
  while (file >> word)
    if (std::size_t kibibytes = 0; word == "MemAvailable:" && file >> kibibytes) return kibibytes << 10;
  return machine_memory();
}

// A page more than the limit tells whether it holds: root may pass it. Locked on fault, none of them is there.
bool passes(std::size_t limit) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t bytes = (limit / page + 1) * page;
  void* const begin = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (begin == MAP_FAILED) return false;
  const bool locked = ::mlock2(begin, bytes, MLOCK_ONFAULT) == 0;
  ::munmap(begin, bytes);
  return locked;
}

}  // namespace

Finding see_processor() { return {str(ops::name_of(ops::best_instruction_path()), " instructions")}; }

Finding see_memory() {
  return {str(in_units(machine_memory()), ", of which ", in_units(available_memory()), " are available")};
}

Finding judge_locked_memory(std::size_t may_lock, std::size_t memory) {
  if (may_lock >= memory) return {"all memory may be locked"};
  return {
      str("at most ", in_units(may_lock), " may be locked"),
      "ranks on the CPU lock nothing, but buffers pinned for a GPU or for a network's adapter (RDMA) may be refused "
      "above that: ulimit -l unlimited, in a service LimitMEMLOCK=infinity, in a container --ulimit memlock=-1"};
}

Finding see_locked_memory() {
  rlimit limit{};
  ensure(Exit::internal, ::getrlimit(RLIMIT_MEMLOCK, &limit) == 0, "the limit of locked memory is not told");
  const std::size_t memory = machine_memory();
  const bool all = limit.rlim_cur >= memory || passes(limit.rlim_cur);
  return judge_locked_memory(all ? memory : limit.rlim_cur, memory);
}

Finding see_shared_memory(std::size_t ranks) {
  const MemoryFile mine{1 << 16};
  MemoryFileView seen{mine.name()};
  mine.data()[5] = std::byte{42};
  ensure(Exit::ranks, seen.at(5, 1)[0] == std::byte{42}, "a memory file shows other bytes than were written to it");
  Finding finding{"ranks of this host can read each other's"};
  // Messages of Open MPI's between ranks of a host go through segments of 4 MiB each there (its btl_vader), and its own
  // daemons need a little too.
  constexpr std::size_t segment = std::size_t{4} << 20;
  struct statvfs room {};
  if (::statvfs("/dev/shm", &room) != 0) {
    advise(finding, "there is no /dev/shm, where MPI keeps its messages between ranks of a host: mount a tmpfs there");
    return finding;
  }
  const std::size_t free = room.f_bavail * room.f_frsize;
  finding.text += str("; ", in_units(free), " free in /dev/shm");
  if (free < (ranks + 1) * segment)
    advise(finding, str("MPI wants ", in_units((ranks + 1) * segment), " there for ", ranks,
                        " ranks: remove what is left over in it, or give it more (mount -o remount,size=1G /dev/shm; a "
                        "container: --shm-size=1g)"));
  return finding;
}

Finding see_gpus() {
  try {
    const CudaBackend& backend = open_cuda_backend();
    std::string text;
    for (const std::string& gpu : backend.gpus()) text += (text.empty() ? "" : ", ") + gpu;
    const std::string way = backend.collectives();
    return {str(text, "; collectives ", way.empty() ? "through the host's memory, for want of NCCL" : "by " + way)};
  } catch (const Error& error) {
    Finding finding{str("none: ", without_frames(error.what()))};
    // Nobody misses what is not there.
    if (std::getenv("TRANCHE_CUDA_PLUGIN") != nullptr || std::filesystem::exists("/dev/nvidiactl"))
      advise(finding, "jobs compute on the CPU; what a GPU needs is in docs/cuda.md");
    return finding;
  }
}

}  // namespace tranche::doctor
