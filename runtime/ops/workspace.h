// What a kernel takes from its device while it runs. The table that computes nothing takes as much, so that a plan
// counts it (runtime/ops/shape/table.cpp).
#pragma once

#include <cstddef>

#include "runtime/device/device.h"

namespace tranche::ops {

inline constexpr std::size_t block_rows = 64;  // that are summed one after another, into a row of their own

// (blocks of rows, width) float32, for sums over rows of `width`.
Buffer row_sums_workspace(Device& device, std::size_t rows, std::size_t width);
// (vocabulary) and (count) int32: where each token of the table stands.
Buffer places_workspace(Device& device, std::size_t vocabulary, std::size_t count);

// What a GPU's kernels take beside (runtime/ops/cuda): a number of uint64 that a search finds, one of float32 that each
// row of a loss's gradient is multiplied with, and one of float64 for each block of squares.
Buffer search_workspace(Device& device);
Buffer row_share_workspace(Device& device);
Buffer square_sums_workspace(Device& device, std::size_t blocks);

}  // namespace tranche::ops
