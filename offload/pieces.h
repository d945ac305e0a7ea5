// How offloaded state is cut: a piece is read, updated and written while its neighbours are on their way.
#pragma once

#include <algorithm>
#include <cstddef>

#include "runtime/base/round.h"
#include "runtime/ops/reduce.h"

namespace tranche {

// Elements in a piece of a unit of which `owned` are a rank's: at most `sub_group`, whole blocks; and no more than
// 4,194,304, beyond which nothing overlaps better and every buffer is larger, unless that makes more than 512 pieces.
// Pairs of blocks: of any dtype, they are whole pages of a disk.
constexpr std::size_t piece_elements(std::size_t sub_group, std::size_t owned) {
  constexpr std::size_t enough = std::size_t{1} << 22, pair = 2 * ops::block, pieces = 512;
  const std::size_t most = std::max(enough, pieces_of(owned, pieces));
  return std::max(std::min(sub_group, padded(most, pair)) / pair, std::size_t{1}) * pair;
}

}  // namespace tranche
