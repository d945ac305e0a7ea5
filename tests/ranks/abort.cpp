// Rank 1 stops the job while the others wait for it.
#include "runtime/comm/mpi.h"
#include "runtime/device/cpu/cpu_device.h"

int main() {
  tranche::MpiSession session;
  tranche::CpuDevice device{1, tranche::Device::unlimited, tranche::Sharing::with_host};
  const auto world = session.communicator(device);
  world->barrier("begin");
  if (world->rank() == 1) world->abort(9);
  world->barrier("in vain");
}
