// A run as a terminal shows it.
//
//   runs/demo   running   2 ranks
//   step 312/1500  ████████▎                                21%   3 min left
//
//   loss 2.3373   lowest 2.3298 at step 309
//     5.53 ▇
//          █▇▅▄▃▂
//     2.34 ██████▇▆▅▅▄▄▃▃▂▂▂▂▁▁
//          step 1 to 312
//   ...
#pragma once

#include <vector>

#include "launcher/top/line.h"
#include "launcher/top/run_view.h"

namespace tranche {

// How much room there is; no limit of rows where the picture is not drawn in place.
struct Room {
  std::size_t columns = 100;
  std::size_t rows = unlimited;
  static constexpr std::size_t unlimited = 1'000'000;
};

// At most so many lines, none of more columns. Where not all ranks have room, those that stand out come first: gone,
// not heard of, or holding the others up (launcher/control/pace.h).
std::vector<Line> picture_of(const RunView& run, const Room& room);

}  // namespace tranche
