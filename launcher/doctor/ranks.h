// Ranks that are started as training starts them, to see whether they meet and how quickly bytes go between them.
#pragma once

#include <cstddef>

#include "launcher/doctor/rank_report.h"
#include "launcher/supervisor/start_line.h"
#include "runtime/base/error.h"

namespace tranche::doctor {

struct Started {
  RanksReport report;
  Finding finding;
};
// Starts them and waits until they have measured. Throws Exit::ranks if they do not come to it.
Started start_ranks(const Place& place, std::size_t ranks);

// What each of them does: rank 0 prints the report. Collective.
Exit be_rank();

}  // namespace tranche::doctor
