// Where the figures of a plan come from, in words and formulas, for people who want to check them by hand. The plan
// itself computes none of these: it counts a step.
#pragma once

#include <string>

#include "launcher/plan.h"

namespace tranche {

// job: settled; plan: its own. One line for each category of each memory and each collective of a step: the planned
// figure, and the formula; where there is a closed one, with its value.
std::string explain(const Job& job, const Plan& plan);

}  // namespace tranche
