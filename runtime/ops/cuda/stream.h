// For host code beside the kernels; those have it from launch.cuh.
#pragma once

#include <cuda_runtime_api.h>

namespace tranche {
class Device;
}

namespace tranche::ops::cuda {

cudaStream_t stream_of(Device& device);  // that computes

}  // namespace tranche::ops::cuda
