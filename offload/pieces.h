// How offloaded state is cut: a piece is read, updated and written while its neighbours are on their way.
#pragma once

#include <algorithm>
#include <cstddef>

#include "runtime/ops/reduce.h"

namespace tranche {

// Elements in a piece: at most `sub_group`, whole blocks; and no more than 4,194,304, beyond which nothing overlaps
// better and every buffer is larger. Pairs of blocks: of any dtype, they are whole pages of a disk.
constexpr std::size_t piece_elements(std::size_t sub_group) {
  constexpr std::size_t most = std::size_t{1} << 22, pair = 2 * ops::block;
  return std::max(std::min(sub_group, most) / pair, std::size_t{1}) * pair;
}

}  // namespace tranche
