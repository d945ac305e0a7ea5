// Gathers and ordered reductions between ranks of a host, against what the same ranks' memory does at the same time.
// Usage: mpirun -np 2 bench_collectives [MiB]   (of the whole buffer, default 64)
//
// The floor of a gather is a copy of the peers' rows and, of a reduction, adding a row of every rank to a sum: both by
// the kernels that the collectives use, from memory that the rank has itself. The slowest rank counts.
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

// Milliseconds of the slowest rank, at the best of many times that all ranks begin together.
double measure(Communicator& world, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  for (int run = 0; run < 25; ++run) {
    world.barrier("begin");
    const Clock::time_point start = Clock::now();
    work();
    const double mine = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    const std::vector<double> all = world.gather(std::span{&mine, 1}, "time");
    if (run >= 3) best = std::min(best, *std::ranges::max_element(all));
  }
  return best;
}

void report(const Communicator& world, const char* what, std::size_t bytes, double time, double floor) {
  if (world.rank() == 0)
    std::printf("  %-26s %8.2f ms, %5.1f GB/s a rank; floor %8.2f ms; ratio %.2f\n", what, time,
                static_cast<double>(bytes) / time / 1e6, floor, time / floor);
}

void measure_all(Communicator& world, CpuDevice& device, std::size_t bytes) {
  const std::size_t row = bytes / world.size(), elements = row / sizeof(float);
  const Tensor all = Tensor::zeros(device, "all", Category::parameters, {1, elements * world.size()}, DType::float32);
  const Tensor slice = Tensor::zeros(device, "slice", Category::parameters, {1, elements}, DType::float32);
  const Tensor sum = Tensor::zeros(device, "sum", Category::gradients, {1, elements}, DType::float32);
  const Tensor own = Tensor::zeros(device, "own", Category::activations, {1, elements * world.size()}, DType::float32);
  const auto row_of = [&](const Tensor& of, std::size_t rank) { return of.byte_span().subspan(rank * row, row); };
  const auto add = [&](std::size_t, std::span<const std::byte> from) {
    ops::accumulate(from, DType::float32, sum.span<float>());
  };

  const double copy = measure(world, [&] {
    for (std::size_t rank = 0; rank < world.size(); ++rank)
      if (rank != world.rank()) std::memcpy(row_of(all, rank).data(), row_of(own, rank).data(), row);
  });
  const double copy_all = measure(world, [&] {
    for (std::size_t rank = 0; rank < world.size(); ++rank)
      std::memcpy(row_of(all, rank).data(), row_of(own, rank).data(), row);
  });
  const double sums = measure(world, [&] {
    for (std::size_t rank = 0; rank < world.size(); ++rank) add(rank, row_of(own, rank));
  });
  report(world, "all_gather, in place", row * (world.size() - 1),
         measure(world, [&] { world.all_gather(row_of(all, world.rank()), all.byte_span(), "publish").wait(); }), copy);
  report(world, "all_gather of a slice", row * world.size(),
         measure(world, [&] { world.all_gather(slice.byte_span(), all.byte_span(), "gather").wait(); }), copy_all);
  report(world, "exchange and accumulate", row * world.size(),
         measure(world, [&] { world.exchange(all.byte_span(), add, "reduce").wait(); }), sums);
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
      std::printf("%zu ranks, %zu MiB, %s\n", world->size(), mib, shared ? "shared memory" : "MPI's messages");
    measure_all(*world, device, bytes);
    const double barrier = measure(*world, [&] { world->barrier("barrier"); });
    if (world->rank() == 0) std::printf("  barrier %.1f us\n", barrier * 1e3);
  }
}
