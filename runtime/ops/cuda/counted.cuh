// What a loss's mean divides by: the rows whose target counts.
#pragma once

#include "runtime/device/device.h"
#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/functors/loss.h"
#include "runtime/ops/workspace.h"

namespace tranche::ops::cuda {

// *share = dloss / the rows that count. By one block.
struct ShareOfRow {
  const float* dloss;
  const std::int32_t* targets;
  std::int32_t ignored;
  std::size_t rows;
  float* share;
  __device__ void operator()(const Block& block, std::size_t) const {
    const std::size_t counted = functors::counted_rows(block, rows, targets, ignored);
    block.single([&] { *share = *dloss / static_cast<float>(counted); });
  }
};
// One float32 on the device, for the gradient of a mean over the rows that count.
template <class Gradient> Buffer share_of_a_row(Device& device, const Gradient& a) {
  Buffer scratch = row_share_workspace(device);
  over_rows(device, 1, a.rows,
            ShareOfRow{a.dloss, a.targets, a.ignored, a.rows, reinterpret_cast<float*>(scratch.data())});
  return scratch;
}

}  // namespace tranche::ops::cuda
