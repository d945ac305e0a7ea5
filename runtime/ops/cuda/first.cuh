// The first place where something holds, found by one block.
#pragma once

#include <array>
#include <span>

#include "runtime/device/device.h"
#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/workspace.h"

namespace tranche::ops::cuda {

template <class Holds> struct FindFirst {
  std::size_t size;
  Holds holds;
  std::uint64_t* found;
  __device__ void operator()(const Block& block, std::size_t) const {
    std::uint64_t mine = size;
    for (std::size_t i = threadIdx.x; i < size && mine == size; i += blockDim.x)
      if (holds(i)) mine = i;
    const std::uint64_t first = combined(mine, Smallest{});
    block.single([&] { *found = first; });
  }
};

// The first i < size with holds(i), or size. Waits for the device.
template <class Holds> std::size_t first_where(Device& device, std::size_t size, const Holds& holds) {
  if (size == 0) return 0;
  const Buffer scratch = search_workspace(device);
  auto* found = reinterpret_cast<std::uint64_t*>(scratch.data());
  over_rows(device, 1, size, FindFirst<Holds>{size, holds, found});
  std::array<std::uint64_t, 1> result;
  device.read(scratch.data(), std::as_writable_bytes(std::span{result}));
  return result[0];
}

}  // namespace tranche::ops::cuda
