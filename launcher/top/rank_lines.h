// A run's ranks, a line each: what a rank is doing, and how much of its steps is its own work.
#pragma once

#include <vector>

#include "launcher/top/line.h"
#include "launcher/top/picture.h"

namespace tranche {

// A heading and at most room.rows - 1 lines, the last of which counts the ranks that have none. Narrow rooms have fewer
// columns of the table.
std::vector<Line> rank_lines(const std::vector<RankShown>& ranks, const Room& room);

}  // namespace tranche
