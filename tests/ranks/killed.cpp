// Rank 1 is killed while the others wait for it, with tensors in shared memory and a collective under way.
#include <signal.h>

#include <vector>

#include "runtime/comm/mpi.h"
#include "runtime/device/cpu/cpu_device.h"

int main() {
  using namespace tranche;
  MpiSession session;
  CpuDevice device{1, Device::unlimited, Sharing::with_host};
  const auto world = session.communicator(device);
  const std::size_t bytes = (std::size_t{8} << 20) * world->size();
  const Buffer rows = device.allocate(bytes, Category::gradients, "rows");
  for (int round = 0;; ++round)
    world
        ->exchange(
            {rows.data(), bytes},
            [&](std::size_t from, auto) {
              if (round == 3 && world->rank() == 1 && from == 1) ::raise(SIGKILL);
            },
            "rows")
        .wait();
}
