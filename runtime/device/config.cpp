#include "runtime/device/config.h"

#include "runtime/base/settings.h"

namespace tranche {

void DeviceConfig::declare(Section& device) {
  device.all_may_change();
  device.choice<Type>("type", type, {{"auto", Type::automatic}, {"cpu", Type::cpu}, {"cuda", Type::cuda}})
      .about(
          "What computes: a GPU for each rank (`cuda`, docs/cuda.md), the CPU, or GPUs where every rank has one that "
          "can be used, and else the CPU (`auto`), which is said once. Ranks compute on one kind of device.");
  device
      .choice<Collectives>("collectives", collectives, {{"auto", Collectives::automatic}, {"host", Collectives::host}})
      .about(
          "How bytes go from GPU to GPU: by NCCL where every rank's libtranche_cuda.so has it, and else, or where this "
          "is `host`, through the hosts' memory. The numbers are the same. It is said when ranks start.");
  device.bytes("memory", memory)
      .about(
          "What one rank may hold; 0: no limit but the machine's. A job whose plan exceeds it is refused before its "
          "first step, with what would fit; beyond it a run ends with an account of every byte.");
  device.bytes("host_memory", host_memory)
      .about("What one rank may hold in host memory of what is offloaded there; 0: no limit but the machine's.");
  device.key("cuda_graphs", cuda_graphs)
      .about(
          "Each unit's forward, and its backward, reach a GPU as one CUDA graph, captured anew each time and updated "
          "(docs/cuda.md). The numbers are the same. It has run on no GPU yet.");
  device.key("threads", threads)
      .about("That compute, for each rank; 0: OMP_NUM_THREADS, or else the host's cores divided by its ranks.");
}

}  // namespace tranche
