#include "runtime/comm/mpi.h"

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/comm/mpi_communicator.h"
#include "runtime/comm/mpi_messages.h"

namespace tranche {
namespace {

std::size_t number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : static_cast<std::size_t>(std::strtoul(text, nullptr, 10));
}

// Variables that say that someone is there to connect this process with others.
bool has_launcher() {
  return std::ranges::any_of(
      std::initializer_list<const char*>{"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"},
      [](const char* name) { return std::getenv(name) != nullptr; });
}

constexpr const char* without_connection =
    "srun started several tasks, but MPI cannot connect them; each would train alone. Start them with srun --mpi=pmix, "
    "or "
    "with mpirun inside the batch script (configs/cluster)";

cpu_set_t usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof cores, &cores) != 0) CPU_SET(0, &cores);
  return cores;
}

// Launchers may give each rank cores of its own, or leave all to all: a core is divided among those who may use it.
std::size_t cores_for_each(std::vector<cpu_set_t> by_rank, std::size_t rank) {
  const auto shares = std::ranges::count_if(by_rank, [&](cpu_set_t& other) {
    cpu_set_t common;
    CPU_AND(&common, &other, &by_rank[rank]);
    return CPU_COUNT(&common) != 0;
  });
  return static_cast<std::size_t>(std::max(1L, CPU_COUNT(&by_rank[rank]) / shares));
}

}  // namespace

MpiSession::MpiSession() : launched_(has_launcher()) {
  const std::size_t tasks = number_in_environment("SLURM_STEP_NUM_TASKS");
  if (!launched_) {
    ensure(Exit::ranks, tasks <= 1, without_connection);
    threads_per_rank_ = cores_for_each({usable_cores()}, 0);
    return;
  }

  ::setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);  // ranks may outnumber cores
  int provided = 0;
  succeed(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
  ensure(Exit::ranks, provided == MPI_THREAD_MULTIPLE,
         "this MPI library does not provide MPI_THREAD_MULTIPLE, which collectives that run beside the computing "
         "need; use one that is built with it");
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  rank_ = static_cast<std::size_t>(rank);
  size_ = static_cast<std::size_t>(size);
  ensure(Exit::ranks, size_ > 1 || tasks <= 1, without_connection);

  MPI_Comm host = MPI_COMM_NULL;
  succeed(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &host), "MPI_Comm_split_type");
  MPI_Comm_rank(host, &rank);
  MPI_Comm_size(host, &size);
  rank_on_host_ = static_cast<std::size_t>(rank);
  ranks_on_host_ = static_cast<std::size_t>(size);
  std::vector<cpu_set_t> cores(ranks_on_host_);
  cores[rank_on_host_] = usable_cores();
  succeed(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, cores.data(), sizeof(cpu_set_t), MPI_BYTE, host),
          "MPI_Allgather");
  threads_per_rank_ = cores_for_each(cores, rank_on_host_);
  MPI_Comm_free(&host);
}

MpiSession::~MpiSession() {
  if (launched_) MPI_Finalize();
}

std::unique_ptr<Communicator> MpiSession::communicator(Device& device, const MpiOptions& options) {
  if (size_ == 1) return alone();
  return std::make_unique<MpiCommunicator>(rank_, size_, device, options);
}

void MpiSession::abort(int exit_code) {
  if (launched_) abort_job(exit_code);
  std::fflush(nullptr);
  std::_Exit(exit_code);
}

}  // namespace tranche
