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

}  // namespace tranche::ops
