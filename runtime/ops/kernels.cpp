#include "runtime/ops/kernels.h"

#include "runtime/base/error.h"
#include "runtime/ops/cpu/paths/paths.h"
#include "runtime/ops/shape/table.h"

namespace tranche::ops {

const Kernels& kernels_of(const Device& device) {
  if (device.type() == DeviceType::shape) return shape_kernels();
  check(device.type() == DeviceType::cpu, "this program computes on the CPU only");
  return cpu_kernels(instruction_path());
}

}  // namespace tranche::ops
