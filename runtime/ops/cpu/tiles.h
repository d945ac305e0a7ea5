// How kernels over elements and rows divide their work: into tiles fixed by the shape, which threads take.
#pragma once

#include "runtime/base/round.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/cpu/block.h"
#include "runtime/ops/kernels/elements.h"

namespace tranche::ops::TRANCHE_PATH {

inline constexpr std::size_t tile_elements = 131072;

// work(first, count) for the pieces of `size`, each of `piece` (the last one of what is left).
template <class Work>
TRANCHE_INLINE void in_pieces(Device& device, std::size_t size, std::size_t piece, const Work& work) {
  pool_of(device).run(pieces_of(size, piece), [&](std::size_t tile) {
    const std::size_t first = tile * piece, left = size - first;
    work(first, left < piece ? left : piece);
  });
}
template <class Work> TRANCHE_INLINE void over_elements(Device& device, std::size_t size, const Work& work) {
  in_pieces(device, size, tile_elements, work);
}
// work(row) for every row; a tile is some rows of about tile_elements in all.
template <class Work>
TRANCHE_INLINE void over_rows(Device& device, std::size_t rows, std::size_t width, const Work& work) {
  const std::size_t fit = width == 0 ? rows : tile_elements / width;
  in_pieces(device, rows, fit == 0 ? 1 : fit, [&](std::size_t first, std::size_t count) {
    for (std::size_t row = first; row < first + count; ++row) work(row);
  });
}

}  // namespace tranche::ops::TRANCHE_PATH
