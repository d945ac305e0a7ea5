// The page that shows runs: a live one hears of its run by server-sent events, a report carries the runs' figures.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/json.h"

namespace tranche {

// Self-contained: it loads nothing.
std::string_view live_page();
// runs: an array of {"name", "steps": [...]}, and what else page.html shows of a run.
std::string report_page(const Json& runs);

}  // namespace tranche
