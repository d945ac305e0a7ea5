// Gathers and ordered reductions between ranks of a host, against what the same ranks' memory does at the same time.
// Usage: mpirun -np 2 bench_collectives [MiB]   (of the whole buffer, default 64)
//
// The ceiling of a gather is a copy of the peers' rows and, of a reduction, adding a row of every rank to a sum: both
// by the kernels that the collectives use, from memory that the rank has itself. The slowest rank counts.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "runtime/comm/mpi.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/elementwise.h"

namespace {

using namespace tranche;

// Milliseconds of the slowest rank, which begin together.
double time_of(Communicator& world, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  world.barrier("begin");
  const Clock::time_point start = Clock::now();
  work();
  const double mine = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  const std::vector<double> all = world.gather(std::span{&mine, 1}, "time");
  return *std::ranges::max_element(all);
}

// The best of many turns, in which the collective and its ceiling alternate: others may be using the machine.
void compare(Communicator& world, const char* what, std::size_t bytes, const std::function<void()>& collective,
             const std::function<void()>& ceiling) {
  double time = 1e9, least = 1e9;
  for (int run = 0; run < 40; ++run) {
    least = std::min(least, time_of(world, ceiling));
    time = std::min(time, time_of(world, collective));
  }
  if (world.rank() == 0)
    std::printf("| %s | %.2f | %.1f | %.1f | %.2f |\n", what, time, static_cast<double>(bytes) / time / 1e6,
                static_cast<double>(bytes) / least / 1e6, least / time);
}

void measure_all(Communicator& world, CpuDevice& device, std::size_t bytes) {
  const std::size_t row = bytes / world.size(), elements = row / sizeof(float);
  const Shape whole{1, elements * world.size()};
  const Tensor all = Tensor::zeros(device, "all", Category::parameters, whole, DType::float32);
  const Tensor slice = Tensor::zeros(device, "slice", Category::parameters, {1, elements}, DType::float32);
  const Tensor sum = Tensor::zeros(device, "sum", Category::gradients, {1, elements}, DType::float32);
  const Tensor own = Tensor::zeros(device, "own", Category::activations, whole, DType::float32);
  const auto row_of = [&](const Tensor& of, std::size_t rank) { return of.byte_span().subspan(rank * row, row); };
  const auto add = [&](std::size_t, std::span<const std::byte> from) { ops::accumulate(from, DType::float32, sum); };
  const auto copy_rows = [&](bool its_own) {
    for (std::size_t rank = 0; rank < world.size(); ++rank)
      if (its_own || rank != world.rank()) std::memcpy(row_of(all, rank).data(), row_of(own, rank).data(), row);
  };

  compare(
      world, "all_gather in place", row * (world.size() - 1),
      [&] { world.all_gather(row_of(all, world.rank()), all.byte_span(), "publish").wait(); },
      [&] { copy_rows(false); });
  compare(
      world, "all_gather of a slice", row * world.size(),
      [&] { world.all_gather(slice.byte_span(), all.byte_span(), "gather").wait(); }, [&] { copy_rows(true); });
  compare(
      world, "exchange and accumulate", row * world.size(),
      [&] { world.exchange(all.byte_span(), add, "reduce").wait(); },
      [&] {
        for (std::size_t rank = 0; rank < world.size(); ++rank) add(rank, row_of(own, rank));
      });
}

double barrier_time(Communicator& world) {
  double best = 1e9;
  for (int run = 0; run < 200; ++run) best = std::min(best, time_of(world, [&] { world.barrier("barrier"); }));
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t mib = argc > 1 ? static_cast<std::size_t>(std::atoi(argv[1])) : 64;
  MpiSession session;
  CpuDevice device{1, Device::unlimited, Sharing::with_host};
  const std::size_t bytes = (mib << 20) / (session.size() * 64) * session.size() * 64;
  for (const bool shared : {true, false}) {
    const auto world = session.communicator(device, {.shared_memory = shared});
    if (world->rank() == 0)
      std::printf(
          "\n%zu ranks, %zu MiB, %s\n\n| collective | ms | GB/s a rank | ceiling | ratio |\n|---|---|---|---|---|\n",
          world->size(), mib, shared ? "shared memory" : "MPI's messages");
    measure_all(*world, device, bytes);
    const double barrier = barrier_time(*world);
    if (world->rank() == 0) std::printf("| barrier | %.3f | | | |\n", barrier);
  }
}
