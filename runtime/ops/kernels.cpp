#include "runtime/ops/kernels.h"

#include "runtime/base/error.h"
#include "runtime/ops/cpu/paths/paths.h"
#include "runtime/ops/shape/table.h"

namespace tranche::ops {
namespace {
const Kernels* cuda_kernels = nullptr;
}

void use_cuda_kernels(const Kernels& kernels) { cuda_kernels = &kernels; }

const Kernels& kernels_of(const Device& device) {
  if (device.type() == DeviceType::shape) return shape_kernels();
  if (device.type() == DeviceType::cuda) {
    check(cuda_kernels != nullptr, "a CUDA device is in use, and nobody has given its kernels");
    return *cuda_kernels;
  }
  return cpu_kernels(instruction_path());
}

}  // namespace tranche::ops
