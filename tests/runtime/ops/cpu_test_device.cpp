#include "runtime/base/error.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/instruction_path.h"
#include "tests/runtime/ops/test_device.h"

namespace tranche::ops {

std::unique_ptr<Device> make_test_device(std::size_t threads) {
  return threads == 0 ? std::make_unique<CpuDevice>() : std::make_unique<CpuDevice>(threads);
}

// 1, 2 and 3 threads on every instruction path that this machine has.
void on_every_test_device(const std::function<void(Device&, const std::string&)>& work) {
  const InstructionPath before = instruction_path();
  for (const InstructionPath path :
       {InstructionPath::plain, InstructionPath::avx2, InstructionPath::avx512, InstructionPath::avx512_vnni}) {
    if (path > best_instruction_path()) break;
    use_instruction_path(path);
    for (const std::size_t threads : {1u, 2u, 3u}) {
      CpuDevice device{threads};
      work(device, str(threads, " threads, ", name_of(path)));
    }
  }
  use_instruction_path(before);
}

}  // namespace tranche::ops
